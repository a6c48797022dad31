"""What tests share: the engines, and short ways to set a scene."""
