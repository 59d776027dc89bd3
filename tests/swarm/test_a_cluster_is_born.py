"""From the first token to an expiry, in processes on loopback."""

import signal


def test_a_hub_hands_out_a_token_nodes_join_and_one_that_is_killed_is_forgotten(commands):
    with commands.hub() as url:
        created = commands.run("create", SWARM_HUB=url)
        assert (created.returncode, created.stderr.count("\n")) == (0, 3)
        commands.live(f"token://{created.stdout.strip()}", SWARM_HUB=url)


def test_a_node_outlives_its_hub(commands, tmp_path):
    data, node = str(tmp_path / "hub.db"), "127.0.0.1:2375"
    with commands.hub("--data", data) as url:
        token = f"token://{commands.run('create', '--hub', url).stdout.strip()}"
    with commands.join(token, node, SWARM_HUB=url) as joined:
        refused = "connection refused"
        assert commands.said(joined, f"({refused})") == refused
        with commands.hub("--data", data, port=url.rpartition(":")[2]):
            assert commands.listed(token, [node], SWARM_HUB=url) == [node]
        joined.send_signal(signal.SIGINT)
        assert joined.wait(commands.deadline) == 130
