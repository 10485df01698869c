#:package RabbitMQ.Client
#:property PublishAot=false

// A bare publisher: persistent messages with confirms, a number of them in flight, to a durable classic queue. Prints messages per second.
// usage: dotnet run infra/load/publish.cs -- URL QUEUE MESSAGES BYTES IN_FLIGHT
// At the end the queue is empty; with 0 messages this only empties it.

using System.Diagnostics;
using System.Globalization;
using RabbitMQ.Client;

var (url, queue) = (args[0], args[1]);
int[] numbers = [.. args[2..5].Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
var (messages, body, inFlight) = (numbers[0], new byte[numbers[1]], numbers[2]);

await using var connection = await new ConnectionFactory { Uri = new Uri(url) }.CreateConnectionAsync();
await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(
    publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true, outstandingPublisherConfirmationsRateLimiter: null));
using var room = new SemaphoreSlim(inFlight);
var properties = new BasicProperties { Persistent = true };
if (messages > 0)
{
    await channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false);
    await RunAsync(messages / 4); // the compiler settles
    Console.WriteLine((await RunAsync(messages)).ToString("F0", CultureInfo.InvariantCulture));
}

await channel.QueuePurgeAsync(queue);

async Task<double> RunAsync(int count)
{
    var watch = Stopwatch.StartNew();
    var confirms = new Task[count];
    for (var number = 0; number < count; number++)
    {
        await room.WaitAsync();
        confirms[number] = PublishAsync();
    }

    await Task.WhenAll(confirms);
    return count / watch.Elapsed.TotalSeconds;
}

async Task PublishAsync()
{
    await channel.BasicPublishAsync("", queue, mandatory: true, properties, body);
    room.Release();
}
