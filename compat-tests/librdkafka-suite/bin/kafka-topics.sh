#!/bin/sh
# librdkafka's tests call this one script of a Kafka distribution (`$KAFKA_PATH/bin`). KAFKA_LIBS: the tools' jars.
exec java -Xmx128M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$KAFKA_LIBS/*" org.apache.kafka.tools.TopicCommand "$@"
