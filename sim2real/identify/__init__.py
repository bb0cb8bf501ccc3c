"""From recordings of a robot to the domain of physics that its policies can be trained in."""
