using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Health;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Health;

/// <summary>An app in which every part is well, with each server it needs behind a proxy of its own, and its secrets in files.</summary>
internal sealed class SelfTestBench : IAsyncDisposable
{
    private static readonly string[] Queues = [AuditSettings.Queue, AuditSettings.DeadLetters, AuditSettings.Retry];

    public required TestDatabase Data { get; init; }

    public required TestProxy Database { get; init; }

    public required TestProxy Feed { get; init; }

    /// <summary>Null for a test without a broker.</summary>
    public required TestProxy? BrokerWay { get; init; }

    public required TestBroker? Broker { get; init; }

    public required FakeProvider Clerk { get; init; }

    public required UpstreamPort Upstream { get; init; }

    public required DirectoryInfo Secrets { get; init; }

    public required TestApp App { get; init; }

    public static async Task<SelfTestBench> StartAsync(string name, TestBroker? broker = null)
    {
        var data = await TestDatabase.CreateAsync(name);
        await (broker?.DeleteAsync(Queues) ?? Task.CompletedTask); // what an earlier run left
        var (database, feed, brokerWay) = (new TestProxy(data.Url), new TestProxy(data.Url), broker is null ? null : new TestProxy(broker.Url));
        var (clerk, upstream) = (await FakeProvider.StartAsync(), new UpstreamPort());
        var secrets = Directory.CreateTempSubdirectory("selftest-");
        await File.WriteAllTextAsync(Path.Combine(secrets.FullName, "gpt-ec-private-key"), SigningKey.Generate());
        await File.WriteAllTextAsync(Path.Combine(secrets.FullName, "stripe-webhook-secret"), WebhookSender.StripeSecret);
        var routes = Path.Combine(secrets.FullName, ".gateway.json");
        await File.WriteAllTextAsync(
            routes, $$"""
            { "routes": [{ "name": "jobs", "methods": ["GET", "POST"], "path": "/gpt/jobs", "upstream": "{{upstream.Url}}", "scope": "jobs:read",
              "tier": "read" }] }
            """);
        var settings = new Dictionary<string, string?>(WebhookSender.Settings.Concat(clerk.Settings), StringComparer.OrdinalIgnoreCase)
        {
            ["DATABASE_URL"] = database.Url,
            ["DATABASE_LISTEN_URL"] = feed.Url,
            ["RABBITMQ_URL"] = brokerWay?.Url,
            ["SECRETS_PATH"] = secrets.FullName,
            ["GATEWAY_CONFIG"] = routes,
            ["GPT_EC_PRIVATE_KEY"] = null,
            ["STRIPE_WEBHOOK_SECRET"] = null,
        };
        var app = await TestApp.StartAsync(data, settings);
        var bench = new SelfTestBench
        {
            Data = data,
            Database = database,
            Feed = feed,
            BrokerWay = brokerWay,
            Broker = broker,
            Clerk = clerk,
            Upstream = upstream,
            Secrets = secrets,
            App = app,
        };
        await (broker is null ? Task.CompletedTask : app.Get<Topology>().DeclareAsync(CancellationToken.None));
        await Wait.UntilAsync(() => app.Get<ChangeFeed>().IsListening);
        return bench;
    }

    /// <summary>A new run, as operators see it.</summary>
    public async Task<Matrix> RunAsync()
    {
        App.Clock.Advance(TimeSpan.FromSeconds(5)); // the answer is kept that long
        using var answer = await App.GetAsOperatorAsync("/__selftest");
        return new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
    }

    /// <summary>Runs until it is as expected: what a part noticed takes it a moment to forget.</summary>
    public async Task UntilAsync(HttpStatusCode status, params string[] notOk)
    {
        Matrix? last = null;
        try
        {
            await Wait.UntilAsync(async () => (last = await RunAsync()).Status == status && last.NotOk.SequenceEqual(notOk));
        }
        catch (Xunit.Sdk.TrueException)
        {
            Assert.Fail(last?.ToString());
        }
    }

    /// <summary>What a run could leave behind: rows by table, messages by queue, connections by server.</summary>
    public async Task<IReadOnlyDictionary<string, long>> CountAllAsync()
    {
        var counts = new SortedDictionary<string, long>(StringComparer.Ordinal);
        var tables = await Data.ScalarAsync<string[]>("SELECT array_agg(oid::regclass::text) FROM pg_class WHERE relkind IN ('r', 'p') "
            + "AND relnamespace = 'public'::regnamespace");
        foreach (var table in tables!)
        {
            counts[table] = await Data.CountAsync(table);
        }

        foreach (var queue in Queues)
        {
            counts[queue] = await Broker!.CountAsync(queue);
        }

        (counts["feed connections"], counts["broker connections"]) = (Feed.Connections, BrokerWay!.Connections);
        counts["sessions in a transaction"] = await Data.ScalarAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'");
        counts["advisory locks"] = await Data.ScalarAsync<long>("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            + "(SELECT oid FROM pg_database WHERE datname = current_database())");
        return counts;
    }

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        await Database.DisposeAsync();
        await Feed.DisposeAsync();
        if (Broker is not null)
        {
            await BrokerWay!.DisposeAsync();
            await Broker.DeleteAsync(Queues);
            await Broker.DisposeAsync();
        }

        await Clerk.DisposeAsync();
        Upstream.Dispose();
        await Data.DisposeAsync();
        Secrets.Delete(recursive: true);
    }
}

/// <summary>An answer of <c>/__selftest</c> with its details.</summary>
internal sealed record Matrix(HttpStatusCode Status, JsonElement Json)
{
    /// <summary>"name state" of each subsystem that is not ok.</summary>
    public IEnumerable<string> NotOk => Subsystems.Where(part => part.Value.GetProperty("status").GetString() != "ok")
        .Select(part => $"{part.Name} {part.Value.GetProperty("status")}");

    public IEnumerable<JsonProperty> Subsystems => Json.GetProperty("subsystems").EnumerateObject();

    public string? Error(string subsystem) => Json.GetProperty("subsystems").GetProperty(subsystem).GetProperty("error").GetString();

    public JsonElement Details(string subsystem) => Json.GetProperty("subsystems").GetProperty(subsystem).GetProperty("details");

    public override string ToString() => $"{Status} {Json}";
}

/// <summary>A port that takes connections, none, or lets everybody wait.</summary>
internal sealed class UpstreamPort : IDisposable
{
    private readonly List<Socket> waiting = [];
    private readonly int port = TestApp.FreePort();
    private Socket listener;

    public UpstreamPort() => listener = Accept();

    public string Url => $"http://127.0.0.1:{port}";

    public void Refuse() => listener.Dispose();

    public void Take()
    {
        listener.Dispose();
        waiting.ForEach(socket => socket.Dispose());
        waiting.Clear();
        listener = Accept();
    }

    /// <summary>Nobody accepts, and the queue is full: whoever connects now waits for an answer.</summary>
    public async Task HangAsync()
    {
        listener.Dispose();
        listener = Listen(0);
        while (true)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            waiting.Add(socket);
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port, limit.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    public void Dispose()
    {
        listener.Dispose();
        waiting.ForEach(socket => socket.Dispose());
    }

    private Socket Accept()
    {
        var socket = Listen(100);
        _ = AcceptAsync();
        return socket;

        async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    (await socket.AcceptAsync()).Dispose();
                }
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // Closed.
            }
        }
    }

    private Socket Listen(int backlog)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        socket.Listen(backlog);
        return socket;
    }
}
