"""The leaderboard as a Streamlit app. It reads through benchmark.store only and loads no torch."""
