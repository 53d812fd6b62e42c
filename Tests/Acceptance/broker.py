"""A real Kafka of one broker for a suite, and what tests do to it from outside."""
import json
import os
import pathlib
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KAFKA = os.environ.get("TIDEMARK_TEST_KAFKA", str(ROOT / "../shared/kafka/kafka"))


def free_port(count, first=31_000, last=40_000):
    """The first of `count` consecutive ports that nobody listens on; suites that run side by side begin at different places."""
    step = 40
    places = list(range(first, last - count, step))
    turn = os.getpid() % len(places)
    for start in places[turn:] + places[:turn]:
        try:
            for port in range(start, start + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return start
        except OSError:
            continue
    raise RuntimeError("no free ports for Kafka")


class Broker:
    """Started when it is made; `wipe` ends it and takes its files away."""

    def __init__(self, directory, *options, ports=20, environment=None):
        self.directory = pathlib.Path(directory)
        self.port = free_port(ports)
        self.environment = dict(os.environ, KAFKA_DIR=str(self.directory), KAFKA_PORT=str(self.port), **(environment or {}))
        self.kafka("up", *options)
        self.address = f"127.0.0.1:{self.port}"
        self.environment["TIDEMARK_BROKERS"] = self.address

    def kafka(self, *args, check=True):
        done = subprocess.run([KAFKA, *args], env=self.environment, capture_output=True, text=True, timeout=180)
        if check and done.returncode != 0:
            raise RuntimeError(f"kafka {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def wipe(self):
        self.kafka("wipe", check=False)

    def client(self, kind, **more):
        import confluent_kafka
        import confluent_kafka.admin
        kinds = {"admin": confluent_kafka.admin.AdminClient, "producer": confluent_kafka.Producer, "consumer": confluent_kafka.Consumer}
        return kinds[kind]({"bootstrap.servers": self.address, **more})

    def create(self, *topics, partitions=1, **config):
        """Makes topics (`retention_ms` is retention.ms) and waits until they are seen."""
        from confluent_kafka.admin import NewTopic
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        admin = self.client("admin")
        for future in admin.create_topics([NewTopic(topic, partitions, 1, config=settings) for topic in topics]).values():
            future.result(20)
        deadline = time.monotonic() + 20
        while not set(topics) <= set(admin.list_topics(timeout=10).topics):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topics} were made and are not seen")
            time.sleep(0.05)

    def configure(self, topic, settings):
        """Changes settings of a topic: `retention.ms=1,max.message.bytes=2`."""
        self.kafka("configs", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", settings)
        time.sleep(1)

    def put(self, topic, rows, **more):
        """Sends rows (objects as JSON, bytes as they are); `more` is for `produce`, where it may be a function of the row."""
        producer = self.client("producer", **{"enable.idempotence": True, "message.max.bytes": 20_000_000})
        for row in rows:
            own = {key: value(row) if callable(value) else value for key, value in more.items()}
            while True:
                try:
                    producer.produce(topic, row if isinstance(row, bytes) else json.dumps(row).encode(), **own)
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(30):
            raise RuntimeError(f"{topic} did not take all records")

    def read(self, topic, **more):
        """Every committed record of a topic, partition by partition."""
        from confluent_kafka import KafkaError, TopicPartition
        consumer = self.client("consumer", **{"group.id": f"read-{time.monotonic_ns()}", "isolation.level": "read_committed", "enable.partition.eof": True,
                                              "enable.auto.commit": False, **more})
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        found, ended, deadline = [], set(), time.monotonic() + 30
        while len(ended) < len(partitions):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topic} was not read to its end")
            message = consumer.poll(1)
            if message is None:
                continue
            if not message.error():
                found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise RuntimeError(str(message.error()))
        consumer.close()
        return sorted(found, key=lambda m: (m.partition(), m.offset()))
