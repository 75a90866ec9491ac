"""`python -m insurance_claim` serves the eight tasks until it is told to stop."""

from insurance_claim.reader import reader_from_environment
from insurance_claim.service import build_service

if __name__ == "__main__":
    build_service(reader_from_environment()).run()
