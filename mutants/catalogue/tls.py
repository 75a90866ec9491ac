"""TLS: who is trusted, what is shown, and that new files take effect without a failed call."""

from mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "an_endpoint_is_believed_under_any_name",
        "A handler's certificate is verified for the name that it registered with, not for the address that is dialled",
        "core/rpc/endpoint_channels.py",
        (("        name=host,\n", ""),),
        killers=(
            "tests/router_endpoints/test_tls.py::"
            "test_what_is_wrong_stands_in_the_report_and_with_the_delivery",
        ),
    ),
    Mutant(
        "a_server_keeps_its_first_certificate",
        "New connections of a server see the newest certificate that can be used",
        "tls/servers.py",
        (
            (
                "        self._new = _configuration(self.material)\n",
                "        pass\n",
            ),
        ),
        killers=(
            "tests/tls/test_rotation.py::"
            "test_new_connections_see_a_new_certificate_and_no_call_fails",
        ),
    ),
    Mutant(
        "a_port_asks_nobody_for_a_certificate",
        "A port with authorities of callers admits only callers with a certificate of theirs",
        "tls/servers.py",
        (
            (
                "        self._requires = files.client_ca is not None\n",
                "        self._requires = False\n",
            ),
        ),
        killers=(
            "tests/tls/test_rotation.py::"
            "test_authorities_of_callers_are_replaced_like_certificates",
        ),
    ),
    Mutant(
        "half_a_replacement_is_taken_into_use",
        "A certificate whose key does not fit is not taken into use",
        "tls/files.py",
        (
            (
                "        if public is not None and public != certificates[0].public_key():\n",
                "        if False:\n",
            ),
        ),
        killers=("tests/tls/test_files.py::test_the_newest_usable_content_is_in_use",),
    ),
    Mutant(
        "tls_alone_opens_a_server_to_strangers",
        "Beyond loopback a server's callers are known, however well its port is encrypted",
        "tls/exposure.py",
        (("or (tls and callers_known):", "or tls:"),),
        killers=(
            "tests/tls/test_files.py::"
            "test_off_loopback_a_server_is_encrypted_and_knows_its_callers",
        ),
    ),
    Mutant(
        "a_client_stays_with_the_stream_of_before",
        "Starts and waits go over a new connection once a client's certificates are replaced",
        "worker_sdk/connection.py",
        (
            (
                "        self._stubs.clear()\n        self._streams.retire()\n",
                "        self._stubs.clear()\n",
            ),
        ),
        killers=(
            "tests/worker_sdk/test_tls.py::"
            "test_calls_go_on_while_the_certificates_of_both_sides_are_replaced",
        ),
    ),
    Mutant(
        "a_router_stays_with_the_connections_of_before",
        "A router connects to its endpoints anew once its certificates are replaced",
        "router/endpoints/directory.py",
        (
            (
                "            self._links[address] = self._connected(link.endpoint)\n",
                "            self._links.pop(address)\n",
            ),
        ),
        killers=(
            "tests/router_endpoints/test_tls.py::"
            "test_no_call_fails_while_the_certificates_of_both_sides_are_replaced",
        ),
    ),
)
