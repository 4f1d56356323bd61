"""Asks a service everything over reflection: no code generated from our definitions.

Usage: ask.py HOST:PORT HOST_NAME FUNCTION LIVE_HOST. The daemon of LIVE_HOST is connected. Prints one JSON object: the services that are listed, and
the answer of each query as the protobuf library turns it into JSON.
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
    target, host, function, live_host = sys.argv[1:5]
    channel = grpc.insecure_channel(target)
    database = ProtoReflectionDescriptorDatabase(channel)
    call = caller(channel, descriptor_pool.DescriptorPool(database))
    # From the beginning of time: what was uploaded may be old.
    selection = {"selector": f'{{host="{host}"}}', "startNs": "1"}
    everything = {"startNs": "1"}
    signals = call("ListSignals", everything)
    first = signals["signals"][0]["signal"]
    selection["signal"] = first
    answers = {
        "services": sorted(database.get_services()),
        "ListSignals": signals,
        "Labels": call("Labels", {"selection": selection}),
        "LabelValues": call("LabelValues", {"selection": selection, "name": "host"}),
        "Hosts": call("Hosts", everything),
        "Series": call("Series", {"selection": selection, "groupBy": ["host"]}),
        "FlameGraph": call("FlameGraph", {"selection": selection}),
        "Top": call("Top", {"selection": selection, "limit": 20}),
        "Diff": call("Diff", {"before": selection, "after": selection}),
        "Function": call("Function", {"selection": selection, "function": function}),
        # In this order: the daemon goes when it has its order.
        "Watch": call("Watch", {"selector": f'{{host="{live_host}"}}'}, parts_max=2),
        "Burst": call("Burst", {"host": live_host, "rateHz": 499, "durationNs": "30000000000", "pids": [1]}),
        "Export": call("Export", {"selection": selection, "format": "EXPORT_FORMAT_COLLAPSED"}),
    }
    print(json.dumps(answers))


main()
