using System.Text;
using RabbitMQ.Client;

namespace GptFunctions.Tests.Support;

/// <summary>A connection to the test broker: declares queues, publishes, looks.</summary>
internal sealed class TestBroker : IAsyncDisposable
{
    private readonly IConnection connection;
    private readonly IChannel channel;

    private TestBroker(string url, IConnection connection, IChannel channel)
    {
        Url = url;
        this.connection = connection;
        this.channel = channel;
    }

    public string Url { get; }

    public static async Task<TestBroker> ConnectAsync() => await ConnectAsync(await TestServices.RabbitMqUrlAsync());

    public static async Task<TestBroker> ConnectAsync(string url)
    {
        var opened = await new ConnectionFactory { Uri = new Uri(url) }.CreateConnectionAsync();
        return new TestBroker(
            url, opened,
            await opened.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true)));
    }

    /// <summary>An empty queue that stays until the next run, so that a failure can be looked at.</summary>
    public async Task DeclareAsync(string queue, string? deadLetterQueue = null)
    {
        await channel.QueueDeleteAsync(queue);
        await DeclareExactlyAsync(
            queue,
            deadLetterQueue is null
                ? []
                : new Dictionary<string, object?>(StringComparer.Ordinal)
                {
                    ["x-dead-letter-exchange"] = "",
                    ["x-dead-letter-routing-key"] = deadLetterQueue,
                });
    }

    /// <summary>Refused when the queue exists with other arguments.</summary>
    public Task DeclareExactlyAsync(string queue, Dictionary<string, object?> arguments) =>
        channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, arguments);

    public Task BindAsync(string queue, string exchange, string routingKey) => channel.QueueBindAsync(queue, exchange, routingKey);

    public async Task PublishAsync(string queue, string text, Action<BasicProperties>? change = null)
    {
        var properties = new BasicProperties();
        change?.Invoke(properties);
        await channel.BasicPublishAsync("", queue, mandatory: true, properties, Encoding.UTF8.GetBytes(text));
    }

    public async Task DeleteAsync(params string[] queues)
    {
        foreach (var queue in queues)
        {
            await channel.QueueDeleteAsync(queue);
        }
    }

    /// <summary>Messages that wait in the queue; those being worked on do not count.</summary>
    public async Task<uint> CountAsync(string queue) => await channel.MessageCountAsync(queue);

    public async Task<BasicGetResult> GetAsync(string queue) => (await channel.BasicGetAsync(queue, autoAck: true))!;

    public async ValueTask DisposeAsync()
    {
        await channel.DisposeAsync();
        await connection.DisposeAsync();
    }
}
