"""Names of the sets of regions, for commands that explain themselves without a model; a test keeps them right."""

REGIONS = ("none", "coarse", "fine")  # the keys of asl.features.regions.REGIONS
