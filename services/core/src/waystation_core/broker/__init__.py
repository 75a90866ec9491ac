"""What keeps `waystation_core.ports.broker`: RabbitMQ over pika, and a broker in one process.

The one way in is `open_broker`. This room must not import `store` or `rpc`, and pika is imported
nowhere else in the house.
"""
