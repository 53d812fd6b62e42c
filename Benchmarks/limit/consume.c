// The limit of the Kafka path: a bare librdkafka consumer that reads a topic to its end and counts bytes.
//
// usage: consume BROKERS TOPIC PARTITIONS
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct { long records, bytes, ended; } tally;

static void take(rd_kafka_message_t *message, void *opaque) {
    tally *t = opaque;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) t->ended++;
    else if (!message->err) {
        t->records++;
        t->bytes += (long)message->len;
    }
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", arguments[1], reason, sizeof reason);
    rd_kafka_conf_set(conf, "group.id", "limit", reason, sizeof reason);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", reason, sizeof reason);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", reason, sizeof reason);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (!client) {
        fprintf(stderr, "%s\n", reason);
        return 4;
    }
    int partitions = atoi(arguments[3]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, arguments[2], NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    for (int p = 0; p < partitions; p++)
        rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue);
    tally t = {0, 0, 0};
    while (t.ended < partitions) rd_kafka_consume_callback_queue(queue, 100, take, &t);
    printf("%ld records, %ld bytes\n", t.records, t.bytes);
    return 0;
}
