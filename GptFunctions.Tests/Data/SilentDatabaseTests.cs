using System.Diagnostics;
using System.Globalization;
using System.Net;
using GptFunctions.Data;
using GptFunctions.Tests.Gateway;
using GptFunctions.Tests.OAuth;
using GptFunctions.Tests.Support;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Data;

/// <summary>A database that takes connections and says nothing: nobody waits for it longer than a limit, and those who do not need it not at all.</summary>
public sealed class SilentDatabaseTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(9);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(4.5); // the promise is 2 s for a look-up, then once more until the silence is noticed
    private static readonly TimeSpan AtOnce = TimeSpan.FromMilliseconds(500); // the promise is 100 ms; this machine may be busy
    private static readonly TimeSpan BackAfter = TimeSpan.FromSeconds(5); // the promise is 2 s

    /// <summary>The network: every packet is lost, and connections of before stay dead.</summary>
    [Fact]
    public async Task Nobody_waits_for_a_network_that_passes_nothing_on()
    {
        var database = await TestDatabase.CreateAsync(nameof(SilentDatabaseTests));
        await using var network = new TestProxy(database.Url);
        await RunAsync(database, network.Url, () => Do(network.Silence), () => Do(network.Speak));
        await database.DisposeAsync();

        static Task Do(Action action)
        {
            action();
            return Task.CompletedTask;
        }
    }

    /// <summary>The server: all its processes are halted, as on a disk that does not answer.</summary>
    [Fact]
    public async Task Nobody_waits_for_a_server_that_is_halted()
    {
        await using var services = new PrivateServices("silent");
        await services.StartAsync("postgres");
        var database = await TestDatabase.CreateOnAsync(services.DatabaseUrl, nameof(SilentDatabaseTests));
        await new Migrator(database.Source, Migrator.Embedded).ApplyAsync(CancellationToken.None);
        var backend = await database.ScalarAsync<int>("SELECT pg_backend_pid()");
        var postmaster = ParentOf(backend);
        try
        {
            await RunAsync(database, database.Url, () => SignalAsync("-STOP", postmaster), () => SignalAsync("-CONT", postmaster));
        }
        finally
        {
            await SignalAsync("-CONT", postmaster);
            await database.DisposeAsync();
        }
    }

    private async Task RunAsync(TestDatabase database, string url, Func<Task> silence, Func<Task> speak)
    {
        await using var upstream = await TestUpstream.StartAsync();
        var routes = GatewayRoutesFile.Write(nameof(SilentDatabaseTests), upstream.Url);
        await using var app = await TestApp.StartAsync(database, new() { ["GATEWAY_CONFIG"] = routes }); // adds users; requests go to the process
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await new OAuthFlow(app.Http).TokensAsync(client, "user_silence");
        var user = new GatewayUser("user_silence", Guid.Empty, AccessTokenText.SessionId(tokens["access_token"]!), client.Id, tokens["access_token"]!);
        await using var process = await AppProcess.StartAsync(app.Settings.With([new("DATABASE_URL", url), new("GATEWAY_READ_LIMIT", "100000")]));
        var flow = new OAuthFlow(process.Http);
        await Wait.UntilAsync(() => process.Output.Any(line => line.Contains("tells about changes", StringComparison.Ordinal)));
        await process.Http.EchoAsync(user);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
        var forged = user.Token[..^8] + "AAAAAAAA";

        await silence();
        var watch = Stopwatch.StartNew();
        using var over = new CancellationTokenSource(Silence);
        var measured = await Task.WhenAll(
            MeasureAsync("/health", () => StatusAsync("/health", null)),
            MeasureAsync("no token", () => StatusAsync("/gpt/echo", null)),
            MeasureAsync("forged", () => StatusAsync("/gpt/echo", forged)),
            MeasureAsync("known", () => StatusAsync("/gpt/echo", user.Token)),
            MeasureAsync("refresh", async () =>
                (await flow.RefreshAsync(client, tokens["refresh_token"]!)) is { Status: var status, Headers.RetryAfter: var after }
                    && (status != HttpStatusCode.ServiceUnavailable || after is not null)
                    ? status
                    : HttpStatusCode.Unused));
        await speak();
        var back = Stopwatch.StartNew();
        await Wait.UntilAsync(async () => await StatusAsync("/gpt/echo", user.Token) == HttpStatusCode.OK, BackAfter);
        await Wait.UntilAsync(async () => (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status == HttpStatusCode.OK, BackAfter);
        output.WriteLine($"back after {back.Elapsed.TotalSeconds:0.0} s");

        AssertOnlyWhatNeedsTheDatabaseFails(measured);
        Assert.True(back.Elapsed < BackAfter);

        async Task<HttpStatusCode> StatusAsync(string path, string? token)
        {
            using var response = await process.Http.CallAsync(token, path);
            return response.StatusCode;
        }

        async Task<List<Call>> MeasureAsync(string what, Func<Task<HttpStatusCode>> call)
        {
            var calls = new List<Call>();
            while (!over.IsCancellationRequested)
            {
                var began = watch.Elapsed;
                var status = await call();
                calls.Add(new Call(began, watch.Elapsed - began, status));
                await Task.Delay(50, CancellationToken.None);
            }

            var statuses = string.Join(", ", calls.CountBy(one => (int)one.Status).Select(one => $"{one.Value} x {one.Key}"));
            output.WriteLine(
                $"{what}: {statuses}; p95 {Percentile(calls).TotalMilliseconds:0} ms, longest {calls.Max(one => one.Took).TotalMilliseconds:0} ms");
            return calls;
        }
    }

    private static void AssertOnlyWhatNeedsTheDatabaseFails(List<Call>[] measured)
    {
        var (health, noToken, bad, known, refresh) = (measured[0], measured[1], measured[2], measured[3], measured[4]);
        Assert.True(Percentile(health) < AtOnce && Percentile(noToken) < AtOnce);
        Assert.All(noToken.Concat(bad), call => Assert.Equal(HttpStatusCode.Unauthorized, call.Status));
        Assert.All(
            measured.SelectMany(calls => calls),
            call => Assert.True(
                call.Took < LongestWait, $"A call that began {call.At.TotalSeconds:0.0} s into the silence took {call.Took.TotalSeconds:0.0} s."));
        Assert.True(Percentile([.. bad.Concat(known).Concat(refresh).Where(call => call.At > LongestWait)]) < AtOnce);
        Assert.All(known.Where(call => call.At < TimeSpan.FromSeconds(3)), call => Assert.Equal(HttpStatusCode.OK, call.Status)); // from memory
        Assert.All(known.Where(call => call.At > TimeSpan.FromSeconds(7)), call => Assert.Equal(HttpStatusCode.ServiceUnavailable, call.Status));
        Assert.All(refresh, call => Assert.Equal(HttpStatusCode.ServiceUnavailable, call.Status));
    }

    /// <summary>The 95th.</summary>
    private static TimeSpan Percentile(List<Call> calls) => calls.Select(call => call.Took).Order().ElementAt(calls.Count * 95 / 100);

    private static int ParentOf(int process) => int.Parse(
        File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("PPid:", StringComparison.Ordinal)).AsSpan(5)
            .Trim(), CultureInfo.InvariantCulture);

    /// <summary>To a process and its children.</summary>
    private static async Task SignalAsync(string signal, int parent)
    {
        var children = Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
            .Where(name => int.TryParse(name, CultureInfo.InvariantCulture, out var id) && IsChild(id)).ToList();
        using var kill = Process.Start("kill", [signal, parent.ToString(CultureInfo.InvariantCulture), .. children!]);
        await kill.WaitForExitAsync();

        bool IsChild(int id)
        {
            try
            {
                return ParentOf(id) == parent;
            }
            catch (IOException)
            {
                return false; // gone
            }
        }
    }

    private sealed record Call(TimeSpan At, TimeSpan Took, HttpStatusCode Status);
}
