"""The parts of examples/orders.py; read them in this order.

`machine` has the states of an order: the part that is about Septum. `watcher` is a hook that counts what the machines do.
`telemetry` sets the OpenTelemetry SDK up and reads back what it wrote.
Around them: `book` (the orders), `world` (warehouse, customers, the client of the payment provider), `provider` (its server),
`report` (what is printed) and `audit` (whether it adds up).
"""
