"""`python -m research_agent.agent` serves the agent until it is told to stop."""

from chat_model import model_from_environment
from research_agent.agent.scripted import ScriptedModel
from research_agent.agent.service import build_service

if __name__ == "__main__":
    build_service(model_from_environment() or ScriptedModel()).run()
