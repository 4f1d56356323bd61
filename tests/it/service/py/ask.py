"""Asks a service everything over reflection: no code generated from our definitions.

Usage: ask.py HOST:PORT HOST_NAME FUNCTION LIVE_HOST TABLE_HOST. The daemon of LIVE_HOST is connected; TABLE_HOST
delivered system calls and allocations. Prints one JSON object: the services that are listed, the queries that the
query service has, and the answer of each as the protobuf library turns it into JSON.
"""

import json
import sys
from itertools import islice

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "profiler.v1.QueryService"
PATIENCE_S = 20


def caller(channel, pool):
    service = pool.FindServiceByName(SERVICE)

    def call(name, fields, parts_max=None):
        method = service.methods_by_name[name]
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)
        request = json_format.ParseDict(fields, request_type())
        path = f"/{SERVICE}/{name}"
        codec = {
            "request_serializer": request_type.SerializeToString,
            "response_deserializer": response_type.FromString,
        }
        if method.server_streaming:
            stream = channel.unary_stream(path, **codec)(request, timeout=PATIENCE_S)
            parts = [json_format.MessageToDict(part) for part in islice(stream, parts_max)]
            stream.cancel()
            return parts
        answer = channel.unary_unary(path, **codec)(request, timeout=PATIENCE_S)
        return json_format.MessageToDict(answer)

    return call


def main():
    target, host, function, live_host, table_host = sys.argv[1:6]
    channel = grpc.insecure_channel(target)
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    call = caller(channel, pool)
    # From the beginning of time: what was uploaded may be old.
    everything = {"startNs": "1"}
    of_host = {"selector": f'{{host="{host}"}}', **everything}
    selection = {**of_host, "signal": "cpu"}
    table = {"selection": {"selector": f'{{host="{table_host}"}}', **everything}}
    budget = '[[limit]]\nname = "cpu"\nmeasure = "cores"\nat_most = "1000"\n'
    answers = {
        "services": sorted(database.get_services()),
        "queries": sorted(pool.FindServiceByName(SERVICE).methods_by_name),
        "ListSignals": call("ListSignals", everything),
        "Labels": call("Labels", {"selection": selection}),
        "LabelValues": call("LabelValues", {"selection": selection, "name": "host"}),
        "Hosts": call("Hosts", everything),
        "Series": call("Series", {"selection": selection, "groupBy": ["host"]}),
        "FlameGraph": call("FlameGraph", {"selection": selection}),
        "Top": call("Top", {"selection": selection, "limit": 20}),
        "Diff": call("Diff", {"before": selection, "after": selection}),
        "Function": call("Function", {"selection": selection, "function": function}),
        "Syscalls": call("Syscalls", table),
        "Tcp": call("Tcp", table),
        "Heap": call("Heap", table),
        "Leaks": call("Leaks", table),
        "Bottlenecks": call("Bottlenecks", of_host),
        "Regressions": call("Regressions", {"before": selection, "after": selection}),
        "Check": call("Check", {"budget": budget}),
        # In this order: the daemon goes when it has its order.
        "Watch": call("Watch", {"selector": f'{{host="{live_host}"}}'}, parts_max=2),
        "Burst": call("Burst", {"host": live_host, "rateHz": 499, "durationNs": "30000000000", "pids": [1]}),
        "Export": call("Export", {"selection": selection, "format": "EXPORT_FORMAT_COLLAPSED"}),
    }
    print(json.dumps(answers))


main()
