"""The Streamlit app: selections in, the package's results on screen."""
