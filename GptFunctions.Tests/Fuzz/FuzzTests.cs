using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;

namespace GptFunctions.Tests.Fuzz;

/// <summary>
/// Requests at random against every route of the program, in a process of its own: well-formed ones with all kinds of content, and octets that only resemble
/// requests. Nothing may answer with an error of ours, hang, crash, or keep connections. <c>make fuzz</c> sends 100,000, every test run some thousand;
/// SEED and REQUESTS repeat a part of a run.
/// </summary>
public sealed class FuzzTests
{
    private const int Workers = 8;
    private const int MostFailures = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);
    private readonly ConcurrentQueue<string> failures = new();
    private readonly ConcurrentDictionary<int, int> statuses = new();
    private int requests;

    [Fact]
    public async Task Requests_at_random_find_no_error_no_hang_and_no_crash()
    {
        var seed = Number("FUZZ_SEED") ?? Random.Shared.Next();
        var wanted = Number("FUZZ_REQUESTS") ?? 4000;
        await using var good = new RawUpstream { Behaviour = FuzzGenerator.AnswerWellAsync };
        await using var bad = new RawUpstream { Behaviour = FuzzGenerator.AnswerBadlyAsync };
        await using var app = await StartAsync(good.Url, bad.Url);
        await using var process = await AppProcess.StartAsync(app.Settings);
        var users = new GatewayUsers(app);
        var generator = new FuzzGenerator(app, await users.AddAsync(plan: "pro"), await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => users.AddAsync())));
        var server = process.Http.BaseAddress!;
        var next = -1;
        Say($"fuzz: {wanted} requests, seed {seed}");

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(async () =>
        {
            while (requests < wanted && failures.Count < MostFailures)
            {
                var own = unchecked(seed + Interlocked.Increment(ref next));
                await RunAsync(server, generator, own);
                if (next % 5000 == 4999)
                {
                    Say($"fuzz: {requests} of {wanted} requests");
                }
            }
        })));

        Say($"fuzz: {requests} requests, seed {seed}: {string.Join(", ", statuses.OrderBy(pair => pair.Key).Select(pair => $"{pair.Value} x {pair.Key}"))}");
        Assert.True(failures.IsEmpty, $"{string.Join("\n\n", failures)}\n\nRepeat one with make fuzz SEED=its seed REQUESTS=1.");
        Assert.Equal(HttpStatusCode.OK, (await process.Http.GetAsync(new Uri("/ready", UriKind.Relative))).StatusCode);
        await Wait.UntilAsync(() => Sockets(process.Id) < 100); // those of the pools; none of ours
    }

    private static int? Number(string name) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static void Say(string text) => Console.WriteLine(text);

    private static int Sockets(int process) =>
        Directory.Exists("/proc/self/fd")
            ? new DirectoryInfo($"/proc/{process}/fd").EnumerateFiles().Count(file => file.LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true)
            : 0;

    private static async Task<TestApp> StartAsync(string good, string bad)
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, "fuzz.json");
        await File.WriteAllTextAsync(path, $$"""
            {
              "openapi": "{{Path.Combine(TestServices.RepositoryRoot, "infra", "config", "openapi.json")}}",
              "routes": [
                {{Route("good", "/gpt/good", good, "timeoutSeconds\": 20, \"audit\": true")}},
                {{Route("item", "/gpt/items/{id}", good, "maxResponseCharacters\": 0, \"allowClerkSession\": true")}},
                {{Route("bad", "/gpt/bad", bad, "timeoutSeconds\": 1, \"maxResponseCharacters\": 1000")}},
                {{Route("badopen", "/gpt/badopen", bad, "timeoutSeconds\": 1, \"maxResponseCharacters\": 0")}}
              ]
            }
            """);
        return await TestApp.StartAsync(nameof(FuzzTests), new(WebhookSender.Settings.Concat(
        [
            new("GATEWAY_CONFIG", path), new("GATEWAY_READ_LIMIT", "1000000"), new("GPT_CLIENT_REGISTRATION", "true"), new("DATABASE_POOL_SIZE", "8"),
        ])));

        static string Route(string name, string path, string upstream, string more) =>
            $$"""
            { "name": "{{name}}", "methods": ["GET", "HEAD", "POST", "PUT"], "path": "{{path}}", "upstream": "{{upstream}}",
              "scope": "jobs:read", "tier": "read", "{{more}} }
            """;
    }

    /// <summary>One connection with some well-formed requests, or one that is not.</summary>
    private async Task RunAsync(Uri server, FuzzGenerator generator, int seed)
    {
        var random = new Random(seed);
        var isBroken = random.Next(2) == 0;
        FuzzRequest request = null!;
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(server.Host, server.Port);
            client.NoDelay = true;
            var reader = new RawReader(client.GetStream());
            for (var left = isBroken ? 1 : random.Next(1, 5); left > 0; left--)
            {
                request = generator.Next(random, isBroken);
                Interlocked.Increment(ref requests);
                if (!await AskAsync(client, reader, request))
                {
                    return;
                }
            }
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException or FormatException or ArgumentException)
        {
            failures.Enqueue($"seed {seed}: {error.GetType().Name} {error.Message}\n{request}");
        }

        async Task<bool> AskAsync(TcpClient client, RawReader reader, FuzzRequest request)
        {
            using var limit = new CancellationTokenSource(Patience);
            var answer = ReadAsync(reader, request, limit.Token);
            try
            {
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request.Octets), limit.Token);
            }
            catch (IOException)
            {
                // Refused before it was all there.
            }

            if (request.IsBroken && await Task.WhenAny(answer, Task.Delay(Pause)) != answer)
            {
                client.Client.Shutdown(SocketShutdown.Send); // it waits for more, and rightly so
            }

            if (await answer is not { } given)
            {
                return request.MayBeBrokenOff ? false : throw new IOException("no answer");
            }

            statuses.AddOrUpdate(given.Status, 1, static (_, count) => count + 1);
            if (!request.Allows(given.Status) || given.Text.Contains("Internal error", StringComparison.Ordinal))
            {
                failures.Enqueue($"seed {seed}: {given.Status} {given.Text}\n{request}");
            }

            return given["Connection"] is null;
        }
    }

    /// <summary>The final answer; null when the connection ended instead.</summary>
    private static async Task<RawAnswer?> ReadAsync(RawReader reader, FuzzRequest request, CancellationToken cancellationToken)
    {
        try
        {
            string? head;
            do
            {
                head = await reader.HeadAsync(cancellationToken);
            }
            while (head?[9] == '1');
            if (head is null)
            {
                return null;
            }

            var hasBody = !request.Octets.StartsWith("HEAD ", StringComparison.Ordinal) && head[9..12] is not ("204" or "304");
            return new RawAnswer(head, hasBody ? await reader.BodyAsync(head, mayEndWithConnection: true, cancellationToken) : []);
        }
        catch (IOException) when (request.MayBeBrokenOff)
        {
            return null;
        }
    }
}
