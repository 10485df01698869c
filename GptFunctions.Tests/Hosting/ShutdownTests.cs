using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 11: SIGTERM lets requests in flight finish.</summary>
public sealed class ShutdownTests(GatewayFixture<ShutdownTests> fixture) : IClassFixture<GatewayFixture<ShutdownTests>>
{
    [Fact]
    public async Task Sigterm_with_a_request_in_flight_lets_it_finish_and_exits_with_0()
    {
        var client = await OAuthFlow.AddClientAsync(fixture.App);
        await using var process = await AppProcess.StartAsync(fixture.App.Settings);
        var flow = new OAuthFlow(process.Http);
        var tokens = await flow.TokensAsync(client, "user_shutdown");

        await using var held = await fixture.App.Database.HoldAsync("LOCK TABLE gpt_refresh_tokens IN ACCESS EXCLUSIVE MODE");
        var refresh = flow.RefreshAsync(client, tokens["refresh_token"]!);
        await fixture.App.Database.WaitForBlockedAsync(1);
        var exit = process.StopAsync();
        await Wait.UntilAsync(async () => !await ListensAsync(process.Http.BaseAddress!)); // the signal has arrived
        var patience = Task.Delay(TimeSpan.FromMilliseconds(500));
        Assert.Same(patience, await Task.WhenAny(refresh, exit, patience)); // neither cut off nor left behind
        await held.LetGoAsync();

        Assert.Equal(HttpStatusCode.OK, (await refresh).Status);
        Assert.Equal(0, await exit);
    }

    /// <summary>
    /// An upstream has 45 s to begin its answer, so a call may be under way for that long after SIGTERM. This one is for 27 s, which is longer
    /// than a host waits unless it is told to; how long it waits at most, PodTests compares.
    /// </summary>
    [Fact]
    public async Task Sigterm_with_a_slow_call_of_the_gateway_lets_it_end()
    {
        var user = await fixture.Users.AddAsync();
        await using var process = await AppProcess.StartAsync(fixture.App.Settings);
        using var response = await process.Http.CallAsync(user.Token, "/gpt/stream/events", completion: HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        var exit = process.StopAsync(TimeSpan.FromSeconds(60));
        var patience = Task.Delay(TimeSpan.FromSeconds(27));
        Assert.Same(patience, await Task.WhenAny(exit, patience));
        var read = response.Content.ReadAsStringAsync();
        await Wait.UntilAsync(async () =>
        {
            await fixture.Upstream.NextAsync();
            return read.IsCompleted;
        });

        Assert.Equal("data: 0\n\ndata: 1\n\ndata: 2\n\n", await read);
        Assert.Equal(0, await exit);
    }

    private static async Task<bool> ListensAsync(Uri address)
    {
        using var client = new System.Net.Sockets.TcpClient();
        try
        {
            await client.ConnectAsync(address.Host, address.Port);
            return true;
        }
        catch (System.Net.Sockets.SocketException)
        {
            return false;
        }
    }
}
