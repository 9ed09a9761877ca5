"""Control networks (Zhang et al. 2023): a copy of the U-Net's way down that steers it by a picture, such as edges."""
