"""`python -m lead_hub`, also under `accelerate launch -m lead_hub`, is the command line."""

from lead_hub.cli import main

main()
