using System.Diagnostics;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tests.Gateway;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using Npgsql;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Hosting;

/// <summary>Callers that hang up take nothing from those who do not: their statements run to the end, and no thread is blocked to cancel them.</summary>
public sealed class HangUpTests(GatewayFixture<HangUpTests> fixture, ITestOutputHelper output) : IClassFixture<GatewayFixture<HangUpTests>>
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(2); // the liveness probe waits 3 s
    private static readonly TimeSpan HighestMedian = TimeSpan.FromMilliseconds(500);
    private readonly TestApp app = fixture.App;

    /// <summary>In both hosts it fires when the caller hangs up, and Npgsql blocks a thread to cancel a statement.</summary>
    [Fact]
    public void Http_functions_take_no_cancellation_token()
    {
        var functions = typeof(ErrorMapper).Assembly.GetTypes()
            .SelectMany(
                type => type.GetMethods(
                    BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(method => method.GetParameters().Any(parameter => parameter.GetCustomAttribute<HttpTriggerAttribute>() is not null)).ToList();

        Assert.True(functions.Count > 20);
        Assert.All(functions, method => Assert.DoesNotContain(method.GetParameters(), parameter => parameter.ParameterType == typeof(CancellationToken)));
    }

    /// <summary>
    /// Whoever works on the way of a request has <see cref="Database"/> and its limits; the others run on their own time.
    /// </summary>
    [Fact]
    public void Only_what_no_request_waits_for_has_the_data_source_itself()
    {
        var holders = typeof(Database).Assembly.GetTypes()
            .Where(
                type => type.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
                    .Any(constructor => constructor.GetParameters().Any(parameter => parameter.ParameterType == typeof(NpgsqlDataSource))))
            .Select(type => type.Name).Order(StringComparer.Ordinal);

        Assert.Equal(["AuditTrailStore", "Database", "Migrator", "OutboxStore", "PurgeStore"], holders);
    }

    /// <summary>No credentials are needed for it: any secret will do.</summary>
    [Fact]
    public async Task Health_and_gateway_answer_as_before_while_others_hang_up()
    {
        var users = new[] { await fixture.Users.AddAsync(), await fixture.Users.AddAsync(), await fixture.Users.AddAsync() };
        await using var process = await AppProcess.StartAsync(app.Settings);
        foreach (var user in users)
        {
            await process.Http.EchoAsync(user); // compiled, connected, known
        }

        using var over = new CancellationTokenSource(Duration);
        var hangingUp = Task.WhenAll(Enumerable.Range(0, 4).Select(number => HangUpAsync(process.Http.BaseAddress!.Port, number, over.Token)));
        var healthy = MeasureAsync(process.Http, "/health", null, over.Token);
        var called = MeasureAsync(process.Http, "/gpt/echo", users, over.Token);

        var (healthTimes, callTimes, hangUps) = (await healthy, await called, (await hangingUp).Sum());
        var (worst, median) = (healthTimes.Max(), callTimes.Order().ElementAt(callTimes.Count / 2));
        output.WriteLine(
            $"{hangUps} callers hung up; /health {healthTimes.Count} times, at worst {worst.TotalMilliseconds:0} ms; the gateway {callTimes.Count} times, "
                + $"median {median.TotalMilliseconds:0.0} ms");
        Assert.True(hangUps > 20);
        Assert.True(worst < LongestSilence, $"/health took {worst.TotalMilliseconds:0} ms.");
        Assert.True(median < HighestMedian, $"The gateway's median is {median.TotalMilliseconds:0} ms.");
    }

    /// <summary>Three times a second: a request for a token, and after 3 to 15 ms the end of the connection.</summary>
    private static async Task<int> HangUpAsync(int port, int caller, CancellationToken over)
    {
        var body = $"grant_type=refresh_token&refresh_token=any&client_id=client-{caller}&client_secret=any";
        var request = Encoding.ASCII.GetBytes(
            $"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
                + $"{body.Length}\r\n\r\n{body}");
        var count = 0;
        while (!over.IsCancellationRequested)
        {
            for (var milliseconds = 3; milliseconds <= 15; milliseconds += 3)
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
                await socket.ConnectAsync("127.0.0.1", port, CancellationToken.None);
                await socket.SendAsync(request, CancellationToken.None);
                await Task.Delay(milliseconds, CancellationToken.None);
                count++;
            }

            await Task.Delay(333, CancellationToken.None);
        }

        return count;
    }

    private static async Task<List<TimeSpan>> MeasureAsync(HttpClient http, string path, GatewayUser[]? users, CancellationToken over)
    {
        var times = new List<TimeSpan>();
        while (!over.IsCancellationRequested)
        {
            var watch = Stopwatch.StartNew();
            using var response = await http.CallAsync(users?[times.Count % users.Length].Token, path);
            times.Add(watch.Elapsed);
            await Task.Delay(50, CancellationToken.None);
        }

        return times;
    }
}
