"""Packet captures as bytes: packets and pcapng blocks that are written, pcap and pcapng files that are read."""
