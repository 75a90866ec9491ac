"""`python -m research_agent.tools` serves the tools until it is told to stop."""

from research_agent.tools.service import build_service

if __name__ == "__main__":
    build_service().run()
