"""DeliveryCompletionService: results of deliveries whose task answered `pending`."""
