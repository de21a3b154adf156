"""The pipeline around simulations and models: profiles, labeling, training, rollouts, and the page."""
