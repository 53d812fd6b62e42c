// The limit of the Kafka path: a bare librdkafka consumer that counts bytes, from the beginning of a topic to
// its end, or, live, from its end for so many seconds; then it prints what CPU a million records took.
//
// usage: consume BROKERS TOPIC PARTITIONS [SECONDS]
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

typedef struct { long records, bytes, ended; } tally;

static void take(rd_kafka_message_t *message, void *opaque) {
    tally *t = opaque;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) t->ended++;
    else if (!message->err) {
        t->records++;
        t->bytes += (long)message->len;
    }
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cpu_now(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int main(int count, char **arguments) {
    if (count != 4 && count != 5) return 2;
    double seconds = count == 5 ? atof(arguments[4]) : 0;
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
        rd_kafka_consume_start_queue(topic, p, seconds > 0 ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING, queue);
    tally t = {0, 0, 0};
    if (seconds > 0) {
        double until = seconds_now() + 2;
        while (seconds_now() < until) rd_kafka_consume_callback_queue(queue, 100, take, &t);
        t = (tally){0, 0, 0};
        double before = cpu_now();
        for (until += seconds; seconds_now() < until;) rd_kafka_consume_callback_queue(queue, 100, take, &t);
        printf("%ld records, %ld bytes, %.2f CPU-s per million\n", t.records, t.bytes, 1e6 * (cpu_now() - before) / (double)t.records);
        return 0;
    }
    while (t.ended < partitions) rd_kafka_consume_callback_queue(queue, 100, take, &t);
    printf("%ld records, %ld bytes\n", t.records, t.bytes);
    return 0;
}
