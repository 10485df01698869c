using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using GptFunctions.Keys;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Keys;

/// <summary>
/// keys.md 7: the runbook's way from one signing key to the next, over two processes whose files change one after the other, in every order, while tokens
/// are used all the time: nothing is refused. KEY_TURNS orders, of eight.
/// </summary>
public sealed class KeyTurnTests(ITestOutputHelper output)
{
    private static readonly int Turns =
        int.TryParse(Environment.GetEnvironmentVariable("KEY_TURNS"), CultureInfo.InvariantCulture, out var turns) ? turns : 1;

    /// <summary>Bit by bit: at which process the key is added first, its predecessor retired first, and removed first.</summary>
    private static readonly int[] Orders = [2, 5, 0, 7, 1, 6, 3, 4];

    [Fact]
    public async Task Keys_turn_over_two_processes_in_every_order_without_one_refusal()
    {
        foreach (var order in Orders.Take(Turns))
        {
            await using var turn = await KeyTurn.StartAsync(order);
            output.WriteLine(await turn.WalkAsync());
        }
    }
}

/// <summary>Two processes with a directory of secrets each, and somebody who uses both.</summary>
internal sealed class KeyTurn : IAsyncDisposable
{
    private const int Lifetime = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string old = SigningKey.Generate();
    private readonly ConcurrentQueue<(string Token, long IssuedAt)> tokens = new();
    private readonly ConcurrentQueue<string> refusals = new();
    private readonly ConcurrentDictionary<string, int> issuedBy = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource ending = new();
    private readonly DirectoryInfo[] secrets = [Directory.CreateTempSubdirectory("turn-"), Directory.CreateTempSubdirectory("turn-")];
    private readonly AppProcess[] processes = new AppProcess[2];
    private readonly int order;
    private Dictionary<string, string?> settings = null!;
    private TestApp app = null!;
    private TestClient client = null!;
    private int calls;

    private KeyTurn(int order) => this.order = order;

    public static async Task<KeyTurn> StartAsync(int order)
    {
        var turn = new KeyTurn(order);
        try
        {
            await turn.StartAsync();
            return turn;
        }
        catch
        {
            await turn.DisposeAsync();
            throw;
        }
    }

    private async Task StartAsync()
    {
        app = await TestApp.StartAsync($"{nameof(KeyTurnTests)}_{order}", new()
        {
            ["GPT_EC_PRIVATE_KEY"] = old,
            ["AzureFunctionsJobHost__functions__0"] = "Health", // adds the client, and has nothing to do with keys
            ["AzureFunctionsJobHost:functions:0"] = "Health",
        });
        settings = app.Settings.With([
            new("GPT_EC_PRIVATE_KEY", null), new("GPT_KEY_PUBLISH_SECONDS", "10"), new("GATEWAY_READ_LIMIT", "1000000"),
            new("GPT_REFRESH_LIMIT", "1000000"),
            new("AzureFunctionsJobHost__functions__0", null), new("AzureFunctionsJobHost:functions:0", null),
            new("GPT_ACCESS_TOKEN_EXPIRY", Lifetime.ToString(CultureInfo.InvariantCulture)),
        ]);
        var routes = Path.Combine(secrets[0].FullName, ".gateway.json");
        await File.WriteAllTextAsync(routes, $$"""
            { "routes": [{ "name": "health", "methods": ["GET"], "path": "/gpt/health", "upstream": "http://127.0.0.1:{{app.Settings["PORT"]}}",
              "upstreamPath": "/health", "scope": "jobs:read", "tier": "read" }] }
            """);
        settings["GATEWAY_CONFIG"] = routes;
        for (var place = 0; place < 2; place++)
        {
            await File.WriteAllTextAsync(FileOf(place), old);
            processes[place] = await AppProcess.StartAsync(SettingsOf(place));
        }

        client = await OAuthFlow.AddClientAsync(app);
    }

    /// <returns>What happened, in one line.</returns>
    public async Task<string> WalkAsync()
    {
        var users = new[] { UseAsync(), UseAsync() };
        await ChangeAsync(order & 1, "add");
        var next = KeyPublicationTests.IdOf((await File.ReadAllTextAsync(FileOf(0))).Split(' ')[0]);
        await UntilAsync(() => issuedBy.ContainsKey(next), "the new key signs");
        await ChangeAsync((order >> 1) & 1, "retire", KeyPublicationTests.IdOf(old)); // its public half stays, as long as one of its tokens lives
        Assert.Single((await File.ReadAllTextAsync(FileOf(0))).Split(' '), text => SigningKey.TryParse(text, out _));
        var isHalf = (await File.ReadAllTextAsync(FileOf(0))).Split(' ').Length == 2;
        if (isHalf)
        {
            await ChangeAsync((order >> 2) & 1, "retire", KeyPublicationTests.IdOf(old)); // tried until none does
        }

        await ending.CancelAsync();
        await Task.WhenAll(users);

        Assert.Empty(refusals);
        Assert.Equal(1, await app.Database.CountAsync("outbox_messages", $"routing_key = '{KeyStore.Turned}'"));
        Assert.Equal(1, await app.Database.CountAsync("outbox_messages", $"routing_key = '{KeyStore.Added}'"));
        Assert.Equal(isHalf ? 2 : 1, await app.Database.CountAsync("outbox_messages", $"routing_key = '{KeyStore.Retired}'"));
        Assert.Equal(2, issuedBy.Count);
        return $"order {order}: {calls} calls, {issuedBy.Values.Sum()} tokens, none refused";
    }

    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        foreach (var process in processes.Where(process => process is not null))
        {
            await process.DisposeAsync();
        }

        if (app is not null)
        {
            await app.DisposeAsync();
        }

        Array.ForEach(secrets, directory => directory.Delete(recursive: true));
        ending.Dispose();
    }

    /// <summary>Runs the command on one process's file, waits until that process has read it, and then gives the other one the same file.</summary>
    private async Task ChangeAsync(int first, params string[] command)
    {
        await UntilAsync(
            async () => (await AppProcess.RunAsync(SettingsOf(first), ["keys", .. command, "--file", FileOf(first)])).ExitCode == 0, "the command is taken");
        var keys = (await File.ReadAllTextAsync(FileOf(first))).Split(' ').Select(KeyPublicationTests.IdOf).ToArray();
        await UntilAsync(async () => (await KeySetAsync(first)).SequenceEqual(keys), "one process has the file");
        File.Copy(FileOf(first), FileOf(1 - first) + ".new");
        File.Move(FileOf(1 - first) + ".new", FileOf(1 - first), overwrite: true);
        await UntilAsync(async () => (await KeySetAsync(1 - first)).SequenceEqual(keys), "the other has it, too");
    }

    /// <summary>Refreshes at one process or the other, and uses every token that lives at both: at the gateway, and as somebody who introspects it.</summary>
    private async Task UseAsync()
    {
        var flows = processes.Select(process => new OAuthFlow(process.Http)).ToArray();
        var latest = await flows[0].TokensAsync(client, $"user_{Guid.NewGuid():N}");
        for (var round = 0; !ending.IsCancellationRequested; round++)
        {
            var token = latest["access_token"]!;
            issuedBy.AddOrUpdate(AccessTokenText.Header(token).GetProperty("kid").GetString()!, 1, (_, count) => count + 1);
            tokens.Enqueue((token, TimeProvider.System.GetTimestamp()));
            while (tokens.TryPeek(out var oldest) && TimeProvider.System.GetElapsedTime(oldest.IssuedAt).TotalSeconds > Lifetime - 3)
            {
                tokens.TryDequeue(out _);
            }

            foreach (var (text, _) in tokens.ToArray().TakeLast(2).Concat(tokens.ToArray().Take(2)))
            {
                for (var place = 0; place < 2; place++)
                {
                    await CheckAsync(place, flows[place], text);
                }
            }

            latest = await flows[round % 2].RefreshAsync(client, latest["refresh_token"]!);
            if (latest.Status != HttpStatusCode.OK)
            {
                refusals.Enqueue($"refresh: {latest.Status} {latest.Text}");
                return;
            }
        }
    }

    private async Task CheckAsync(int place, OAuthFlow flow, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/gpt/health")
        {
            Headers = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
        };
        var answer = await flow.SendAsync(request);
        var introspection = await flow.IntrospectAsync(client, token);
        Interlocked.Add(ref calls, 2);
        var isOver = AccessTokenText.Claims(token).GetProperty("exp").GetInt64() <= TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        if (!isOver && (answer.Status != HttpStatusCode.OK || introspection["active"] != "True"))
        {
            refusals.Enqueue($"{place}: {answer.Status} {answer.Text} {introspection.Text}");
        }
    }

    private async Task<IEnumerable<string>> KeySetAsync(int place)
    {
        var keys = System.Text.Json.JsonElement.Parse(await processes[place].Http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative)));
        return keys.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("kid").GetString()!);
    }

    private Dictionary<string, string?> SettingsOf(int place) => settings.With([new("SECRETS_PATH", secrets[place].FullName)]);

    private string FileOf(int place) => Path.Combine(secrets[place].FullName, "gpt-ec-private-key");

    private Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), what);

    private async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"order {order}: not within {Patience.TotalSeconds} s: {what}");
            Assert.True(refusals.IsEmpty, string.Join('\n', refusals.Take(5)));
            await Task.Delay(100);
        }
    }
}
