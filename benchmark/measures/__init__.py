"""What is measured on a trained model: pure functions of tensors, one idea a file.

Every measure states its unit and source; images are [B, C, H, W] in [0, 1], so that an input unit
is a pixel's full range.
"""
