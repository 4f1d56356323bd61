"""Sends one profile as an OTLP exporter does.

Usage: otlp.py HOST:PORT SERVICE_NAME TIME_UNIX_NS. The profile has 30 samples in `leaf` below `main`.
"""

import sys

import grpc
from opentelemetry.proto.collector.profiles.v1development import (
    profiles_service_pb2 as collector,
    profiles_service_pb2_grpc as collector_grpc,
)
from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.profiles.v1development import profiles_pb2 as profiles
from opentelemetry.proto.resource.v1 import resource_pb2 as resource


def main():
    target, service, time_ns = sys.argv[1:4]
    strings = ["", "samples", "count", "cpu", "nanoseconds", "main", "leaf", "main.c"]
    place = strings.index
    dictionary = profiles.ProfilesDictionary(
        mapping_table=[profiles.Mapping()],
        link_table=[profiles.Link()],
        attribute_table=[profiles.KeyValueAndUnit()],
        string_table=strings,
        function_table=[
            profiles.Function(),
            profiles.Function(name_strindex=place("main"), filename_strindex=place("main.c")),
            profiles.Function(name_strindex=place("leaf"), filename_strindex=place("main.c")),
        ],
        location_table=[
            profiles.Location(),
            profiles.Location(lines=[profiles.Line(function_index=1, line=3)]),
            profiles.Location(lines=[profiles.Line(function_index=2, line=7)]),
        ],
        stack_table=[profiles.Stack(), profiles.Stack(location_indices=[2, 1])],
    )
    profile = profiles.Profile(
        sample_type=profiles.ValueType(type_strindex=place("samples"), unit_strindex=place("count")),
        samples=[profiles.Sample(stack_index=1, values=[30])],
        time_unix_nano=int(time_ns),
        duration_nano=10_000_000_000,
        period_type=profiles.ValueType(type_strindex=place("cpu"), unit_strindex=place("nanoseconds")),
        period=10_000_000,
        profile_id=bytes(range(16)),
    )
    name = common.KeyValue(key="service.name", value=common.AnyValue(string_value=service))
    request = collector.ExportProfilesServiceRequest(
        resource_profiles=[
            profiles.ResourceProfiles(
                resource=resource.Resource(attributes=[name]),
                scope_profiles=[profiles.ScopeProfiles(profiles=[profile])],
            )
        ],
        dictionary=dictionary,
    )
    stub = collector_grpc.ProfilesServiceStub(grpc.insecure_channel(target))
    answer = stub.Export(request, timeout=20)
    print("rejected", answer.partial_success.rejected_profiles, answer.partial_success.error_message)


main()
