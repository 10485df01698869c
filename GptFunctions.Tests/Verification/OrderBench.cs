using System.Text.Json.Nodes;
using GptFunctions.Countdowns;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;
using GptFunctions.Verification;

namespace GptFunctions.Tests.Verification;

/// <summary>Orders of an app whose timers are run by the test, and what takes its callbacks.</summary>
internal sealed class OrderBench(TestApp app, CallbackReceiver receiver) : IAsyncDisposable
{
    public const string ServiceKey = "service-key-of-the-tests-0123456789";

    public TestApp App => app;

    public TestDatabase Database => app.Database;

    public CallbackReceiver Receiver => receiver;

    public WebhookSender Sender { get; } = new(app.Http);

    public static async Task<OrderBench> StartAsync(string name, params (string Name, string? Value)[] more)
    {
        var receiver = await CallbackReceiver.StartAsync();
        var settings = new Dictionary<string, string?>(WebhookSender.Settings, StringComparer.OrdinalIgnoreCase)
        {
            ["VERIFICATION_CALLBACK_URL"] = receiver.Url,
            ["VERIFICATION_CALLBACK_SECRET"] = CallbackReceiver.Secret,
            ["SERVICE_KEY"] = ServiceKey,
        };
        foreach (var (setting, value) in more)
        {
            settings[setting] = value;
        }

        return new OrderBench(await TestApp.StartAsync(name, settings), receiver);
    }

    public async Task<string> OrderAsync(string? orderId = null, decimal total = 49.9m)
    {
        orderId ??= $"order-{Guid.NewGuid():N}";
        var answer = await Sender.OrderAsync(new JsonObject
        {
            ["event"] = "order.created",
            ["orderId"] = orderId,
            ["customerEmail"] = "customer@example.com",
            ["orderTotal"] = total,
        });
        Assert.Equal(System.Net.HttpStatusCode.OK, answer.Status);
        return orderId;
    }

    public Task<JsonAnswer> DecideAsync(string orderId, string status) => Sender.VerificationAsync(new JsonObject
    {
        ["event"] = "verification.updated",
        ["id"] = $"ver-{orderId}",
        ["orderId"] = orderId,
        ["status"] = status,
    });

    /// <summary>As if so much time had passed for an order and its countdowns.</summary>
    public Task PassAsync(string orderId, string time) => Database.ExecuteAsync($"""
        UPDATE verification_sessions SET deadline = deadline - interval '{time}' WHERE order_id = '{orderId}';
        UPDATE countdowns SET due_at = due_at - interval '{time}', next_attempt_at = next_attempt_at - interval '{time}'
        WHERE subject = '{orderId}' AND status = 'active';
        """);

    /// <summary>One run of the dispatcher and one of the sender.</summary>
    public async Task RunAsync()
    {
        await app.Get<CountdownService>().RunAsync(CancellationToken.None);
        await app.Get<CallbackService>().RunAsync(CancellationToken.None);
    }

    public Task<string?> StatusAsync(string orderId) =>
        Database.ScalarAsync<string>($"SELECT status FROM verification_sessions WHERE order_id = '{orderId}'");

    public async Task<(string? Status, string? Error)> CallbackAsync(string orderId) => (
        await Database.ScalarAsync<string>($"SELECT status FROM verification_callbacks WHERE order_id = '{orderId}'"),
        await Database.ScalarAsync<string>($"SELECT last_error FROM verification_callbacks WHERE order_id = '{orderId}'"));

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        await receiver.DisposeAsync();
    }
}
