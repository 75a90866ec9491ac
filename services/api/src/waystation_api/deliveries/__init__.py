"""DeliveryCompletionService: the end of deliveries whose task answered `pending`."""
