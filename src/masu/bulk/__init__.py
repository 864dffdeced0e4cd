"""Detection over very many images: restartable, in one process or over Ray, into Parquet files.

In the order in which data flows: ``sources`` lists the images, ``sorting`` brings them in order, ``stores``
are the folders that are written to, on disk or through ``remote`` in an object store; ``manifest`` keeps the
list there in pages, ``plan`` cuts it into numbered shards and guards the folder. ``predictor`` turns paths
into rows (``table``), ``alone`` does so image by image where one of them ends the process, ``shards`` writes
the rows of a shard, unless a store refuses everything (``refusals``), ``parts`` says which are left and joins
them. ``job`` runs what is left with ``local_engine`` or ``ray_engine``, which has a ``pool``.
"""
