"""Proof of the full machine: messages over Kafka and Debezium while every part of the way is killed."""
