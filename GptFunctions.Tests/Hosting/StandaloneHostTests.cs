using System.Globalization;
using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 27 and 28: the standalone host is fit to answer callers by itself.</summary>
public sealed class StandaloneHostTests(GatewayFixture<StandaloneHostTests> fixture) : IClassFixture<GatewayFixture<StandaloneHostTests>>
{
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData(null, null, "127.0.0.1:7071")]
    [InlineData(null, "9000", "127.0.0.1:9000")]
    [InlineData("*:8080", "9000", "*:8080")]
    [InlineData("0.0.0.0:8080", null, "0.0.0.0:8080")]
    [InlineData("[::1]:8080", null, "[::1]:8080")]
    [InlineData("nonsense", "9000", "127.0.0.1:9000")]
    public void Http_address_is_where_it_listens_and_else_the_port_of_this_machine(string? address, string? port, string expected)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("HTTP_ADDRESS", address), new("PORT", port)]).Build();

        Assert.Equal(expected, StandaloneSettings.AddressOf(configuration));
    }

    [Theory]
    [InlineData("8080")]
    [InlineData("*")]
    [InlineData("10.0.0.5")]
    [InlineData("gpt.example.com:8080")]
    [InlineData("http://10.0.0.5:8080")]
    [InlineData("*:99999")]
    [InlineData("*:0")]
    public void Http_address_that_is_none_is_refused_with_a_sentence(string address)
    {
        Assert.Contains(address, Assert.Single(new StandaloneSettings { Address = address }.Problems(isProduction: true)), StringComparison.Ordinal);
    }

    /// <summary>There anybody may sign in as anybody.</summary>
    [Theory]
    [InlineData("*:8080", 1)]
    [InlineData("192.0.2.1:8080", 1)]
    [InlineData("127.0.0.1:8080", 0)]
    [InlineData("[::1]:8080", 0)]
    public void Development_listens_on_addresses_of_this_machine_only(string address, int problems)
    {
        Assert.Equal(problems, new StandaloneSettings { Address = address }.Problems(isProduction: false).Count());
        Assert.Empty(new StandaloneSettings { Address = address }.Problems(isProduction: true));
    }

    [Fact]
    public void What_a_connection_may_take_up_has_limits()
    {
        var limits = app.Get<IOptions<KestrelServerOptions>>().Value.Limits;

        Assert.Equal(
            (8 * 1024, 32 * 1024, 100, 100_000_000L, 5000L),
            (
                limits.MaxRequestLineSize, limits.MaxRequestHeadersTotalSize, limits.MaxRequestHeaderCount, limits.MaxRequestBodySize,
                limits.MaxConcurrentConnections));
        Assert.Equal((15, 130), (limits.RequestHeadersTimeout.TotalSeconds, limits.KeepAliveTimeout.TotalSeconds));
        Assert.Equal((240, 240), (limits.MinRequestBodyDataRate!.BytesPerSecond, limits.MinResponseDataRate!.BytesPerSecond));
    }

    [Fact]
    public async Task Url_and_headers_that_are_too_large_are_refused_before_anything_reads_them()
    {
        Assert.Equal(414, await StatusAsync($"/oauth/authorize?state={new string('a', 8 * 1024)}"));
        Assert.Equal(431, await StatusAsync("/health", [.. Enumerable.Range(0, 8).Select(number => $"X-Long-{number}: {new string('a', 5000)}")]));
        Assert.Equal(431, await StatusAsync("/health", [.. Enumerable.Range(0, 101).Select(number => $"X-Many-{number}: a")]));
        Assert.Equal(200, await StatusAsync("/health"));
        Assert.Equal(400, await StatusAsync($"/oauth/authorize?state={new string('a', 7 * 1024)}")); // read, and answered for what it lacks
    }

    /// <summary>Whoever announces a body and sends next to nothing keeps a connection for some seconds and no longer.</summary>
    [Fact]
    public async Task Body_that_comes_too_slowly_is_refused()
    {
        using var connection = new RawConnection(app.Http);
        await connection.SendAsync(
            "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant");

        Assert.Equal(408, (await connection.AnswerAsync("POST")).Status);
    }

    [Fact]
    public async Task Standalone_by_choice_answers_http_where_it_is_told_and_runs_no_timer_and_no_queue()
    {
        var port = TestApp.FreePort().ToString(CultureInfo.InvariantCulture);
        await using var direct = await app.StartReplicaAsync(
            ("HOST", "standalone"), ("HTTP_ADDRESS", $"127.0.0.1:{port}"), ("PORT", port), ("AzureWebJobs.Purge.Disabled", null));

        await using var both = await app.StartReplicaAsync(("AzureWebJobs.Purge.Disabled", null));
        Assert.Contains(typeof(TimerLoop), Services(both));
        Assert.DoesNotContain(typeof(TimerLoop), Services(direct));
        Assert.DoesNotContain(typeof(RabbitMQConsumer), Services(direct));
        foreach (var path in (string[])["/admin/host/status", "/admin/functions/Purge", "/runtime/webhooks/x", "/admin"])
        {
            using var answer = await direct.Http.GetAsync(new Uri(path, UriKind.Relative));
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await new OAuthFlow(direct.Http).TokensAsync(client, "user_direct");
        using var call = await direct.Http.CallAsync(tokens["access_token"]!, "/gpt/echo");
        Assert.Equal(HttpStatusCode.OK, call.StatusCode);

        static IEnumerable<Type> Services(TestApp one) => one.Services.GetServices<IHostedService>().Select(service => service.GetType());
    }

    private async Task<int> StatusAsync(string target, params string[] lines)
    {
        using var connection = new RawConnection(app.Http);
        return (await connection.CallAsync("GET", target, null, "", lines)).Status;
    }
}
