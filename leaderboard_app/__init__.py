"""The leaderboard as a Streamlit app. It reads through benchmark.records.store only and loads no
torch.
"""
