"""What the label stage and other programs talk to, without Gradio."""

from fastapi import APIRouter

from pipeline.app.studio import Studio


def router(studio: Studio) -> APIRouter:
    """All routes."""
    routes = APIRouter()

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "profile": studio.profile.name}

    return routes
