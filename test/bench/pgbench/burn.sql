SELECT bench.burn();
