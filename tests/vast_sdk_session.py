"""What the official SDK makes of an account, as one JSON object; run by its own interpreter: `... URL KEY`."""

import json
import sys
import time


def main() -> None:
    from vastai import VastAI  # type: ignore[import-not-found]

    url, key = sys.argv[1:]
    vast = VastAI(api_key=key, server_url=url)
    offers = vast.search_offers(
        query="gpu_name in [RTX_5090,L40S] num_gpus=1 gpu_ram>=30 reliability>0.98 direct_port_count>=6 inet_down>=500 "
        "cuda_vers>=12.6 cpu_ghz>=3 geolocation in [DE,PL]",
        order="dph_total",
        storage=80,
        limit=5,
    )
    rent = vast.create_instance(
        id=offers[0]["id"],
        image="nvidia/cuda:12.8.1-devel-ubuntu24.04",
        disk=80,
        env="-e A=b -p 8443:8443 -p 40000:40000/udp",
        label="understudy-sdk",
        onstart_cmd="true",
        ssh=True,
        direct=True,
    )
    number = rent["new_contract"]
    deadline = time.monotonic() + 20
    while (seen := vast.show_instance(id=number))["actual_status"] != "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    log = vast.logs(instance_id=number, tail="10")
    listed = [row["id"] for row in vast.show_instances()]
    vast.stop_instance(id=number)
    stopped = vast.show_instance(id=number)["intended_status"]
    destroyed = vast.destroy_instance(id=number)
    print(
        json.dumps(
            {
                "offers": [offer["id"] for offer in offers],
                "instance": number,
                "status": seen["actual_status"],
                "ports": sorted(seen["ports"]),
                "env": seen["extra_env"],
                "label": seen["label"],
                "log": log.strip(),
                "listed": listed,
                "stopped": stopped,
                "destroyed": destroyed["success"],
                "left": [row["id"] for row in vast.show_instances()],
                "gone": vast.show_instance(id=number),
            }
        )
    )


if __name__ == "__main__":
    main()
