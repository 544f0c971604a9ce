"""Many files on two local Ray nodes, one of which is killed in the middle: run by test_ray.py.

    python ray_nodes.py MODEL FILES OUTPUT

It prints one line of JSON: how many parts were made, and the complaint about too few CPUs.
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

import ray
from ray.cluster_utils import Cluster

import charloom


def main(model: str, files: str, output: str) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    made, complaint = 0, ""
    try:
        many = charloom.ManySettings(workers=5, cluster="ray")
        try:
            list(charloom.process_files("evaluate", model, files, output, many=many))
        except charloom.CharloomError as error:
            complaint = str(error)
        many = charloom.ManySettings(workers=2, cluster="ray")
        for outcome in charloom.process_files("evaluate", model, files, output, many=many):
            made += outcome.part is not None
            if made == 5:
                cluster.remove_node(other, allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()
    print(json.dumps({"made": made, "complaint": complaint}))


if __name__ == "__main__":
    main(*sys.argv[1:])
