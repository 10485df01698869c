using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Operations;
using GptFunctions.Tests.Mcp;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Tests.Operations;

/// <summary>health.md 18: what each host of infra/hosts.json would see on its way, and what is said when something in between breaks it.</summary>
public sealed class HostsCheckTests : IAsyncLifetime
{
    private readonly Dictionary<string, string> answers = new(StringComparer.Ordinal);
    private WebApplication proxy = null!;
    private TestApp app = null!;
    private bool isWithoutChallenge;

    /// <summary>In front of the app stands something that can spoil what it says, as an ingress or a firewall would.</summary>
    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().UseUrls($"http://127.0.0.1:{TestApp.FreePort()}");
        proxy = builder.Build();
        proxy.Run(PassOnAsync);
        await proxy.StartAsync();
        app = await TestApp.StartAsync(nameof(HostsCheckTests), new()
        {
            ["PUBLIC_BASE_URL"] = proxy.Urls.Single(),
            ["GATEWAY_CONFIG"] = McpRoutesFile.Write("http://127.0.0.1:1"),
            ["UPSTREAM_KEY"] = "key-of-the-upstream",
        });
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await proxy.DisposeAsync();
    }

    [Fact]
    public async Task Every_known_host_gets_in_and_nothing_is_registered()
    {
        var finding = await CheckAsync(app);
        Assert.True(finding.State == CheckState.Ok, finding.Error);
        Assert.Equal(
            KnownHost.All.Select(host => (host["name"]!.GetValue<string>(), host["document"] is null ? "registers" : "by its document")),
            finding.Details.Where(detail => detail.Key != "mcp_endpoints").Select(detail => (detail.Key, detail.Value!.GetValue<string>())));
        Assert.Contains(app.BaseUrl + "/gpt/mcp", finding.Details["mcp_endpoints"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("gpt_clients", "kind <> 'confidential'"));
    }

    [Theory]
    [InlineData("GPT_REDIRECT_URIS_ALLOWED", "", "Degraded", "Cursor registers and is refused: its redirect URI cursor://anysphere.cursor-mcp/oauth/callback")]
    [InlineData("GPT_CLIENT_REGISTRATION", "false", "Ok", null)]
    [InlineData("GPT_CLIENT_METADATA_HOSTS", "chatgpt.com", "Ok", null)]
    public async Task Setting_that_keeps_a_host_out_is_said_and_a_redirect_uri_that_is_refused_is_a_problem(
        string name, string value, string state, string? error)
    {
        await using var other = await app.StartReplicaAsync((name, value));
        var target = other.Settings["PORT"];
        answers["port"] = target!;
        var finding = await CheckAsync(other);
        Assert.Equal(state, finding.State.ToString());
        Assert.StartsWith(error ?? "", finding.Error ?? "", StringComparison.Ordinal);
        Assert.Equal(
            name switch
            {
                "GPT_REDIRECT_URIS_ALLOWED" => "refused",
                "GPT_CLIENT_REGISTRATION" => "kept out: GPT_CLIENT_REGISTRATION is not true",
                _ => "registers",
            }, finding.Details["Cursor"]!.GetValue<string>());
        Assert.Equal(
            name == "GPT_CLIENT_METADATA_HOSTS" ? "kept out: GPT_CLIENT_METADATA_HOSTS has no claude.ai" : "by its document",
            finding.Details["Claude"]!.GetValue<string>());
    }

    [Theory]
    [InlineData(
        "/.well-known/oauth-authorization-server", """{"issuer":"http://other"}""", "Blocker", "names the issuer 'http://other', and not PUBLIC_BASE_URL.")]
    [InlineData("/.well-known/oauth-authorization-server", "<html>", "Blocker", "/.well-known/oauth-authorization-server is no JSON.")]
    [InlineData("/.well-known/oauth-authorization-server", "404", "Blocker", "/.well-known/oauth-authorization-server answers 404.")]
    [InlineData("/.well-known/oauth-protected-resource/gpt/mcp", """{"resource":"x"}""", "Degraded", "/gpt/mcp is about the resource 'x'. Hosts that know")]
    [InlineData("/gpt/mcp", "{}", "Degraded", "/gpt/mcp answers 200 without a token, and not 401.")]
    [InlineData("no challenge", "", "Degraded", "names no resource_metadata in WWW-Authenticate: does something in between take it away?")]
    public async Task What_something_in_between_spoils_is_said(string path, string answer, string state, string expected)
    {
        (answers[path], isWithoutChallenge) = (answer, path == "no challenge");
        var finding = await CheckAsync(app);
        Assert.Equal(state, finding.State.ToString());
        Assert.Contains(expected, finding.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Url_at_which_nobody_answers_is_said()
    {
        await proxy.StopAsync();
        var finding = await CheckAsync(app);
        Assert.Equal(CheckState.Degraded, finding.State);
        Assert.StartsWith($"{app.BaseUrl} does not answer from here, so nothing is known of what hosts see there: ", finding.Error, StringComparison.Ordinal);
    }

    private static async Task<Finding> CheckAsync(TestApp app)
    {
        var finding = new Finding();
        await ActivatorUtilities.CreateInstance<HostsCheck>(app.Services).RunAsync(finding, CancellationToken.None);
        return finding;
    }

    private async Task PassOnAsync(HttpContext context)
    {
        if (answers.TryGetValue(context.Request.Path, out var instead))
        {
            context.Response.StatusCode = instead == "404" ? 404 : 200;
            await context.Response.WriteAsync(instead);
            return;
        }

        using var http = new HttpClient();
        using var request = new HttpRequestMessage(
            new(context.Request.Method), $"http://127.0.0.1:{answers.GetValueOrDefault("port") ?? app.Settings["PORT"]}{context.Request.Path}");
        if (HttpMethods.IsPost(context.Request.Method))
        {
            request.Content = new StringContent("{}", System.Text.Encoding.UTF8, "application/json");
        }

        using var answer = await http.SendAsync(request);
        context.Response.StatusCode = (int)answer.StatusCode;
        if (answer.StatusCode == HttpStatusCode.Unauthorized && !isWithoutChallenge)
        {
            context.Response.Headers.WWWAuthenticate = answer.Headers.WwwAuthenticate.ToString();
        }

        await context.Response.WriteAsync(await answer.Content.ReadAsStringAsync());
    }
}
