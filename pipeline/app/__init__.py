"""The page: FastAPI owns the routes, Gradio is mounted in it. Nothing else in the project imports either."""
