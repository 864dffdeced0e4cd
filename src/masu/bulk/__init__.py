"""Detection over very many images: restartable, in one process or over Ray, into Parquet files.

In the order in which data flows: ``sources`` lists the images, ``remote`` speaks to object stores, ``plan``
cuts the list into numbered shards and guards the output folder, ``predictor`` turns paths into rows
(``table``), ``alone`` does so image by image where one of them ends the process, ``shards`` writes the rows
of a shard as one file, ``job`` runs what is left with one of two engines, ``local_engine`` and ``ray_engine``
with its ``pool``.
"""
