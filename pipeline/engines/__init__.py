"""Where the units of a stage are worked on: in this process, in many, on a Ray cluster, by Slurm; to the same bytes."""
