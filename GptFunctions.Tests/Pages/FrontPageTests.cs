using System.Net;
using GptFunctions.Development;
using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Tests.Pages;

/// <summary>pages.md 11: what stands at the address of the service itself.</summary>
public sealed class FrontPageTests(AppFixture<FrontPageTests> fixture) : IClassFixture<AppFixture<FrontPageTests>>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Development_leads_through_the_flow_by_a_link_that_works()
    {
        await app.Get<ClientService>().EnsureFirstAsync(); // as setup does
        using var page = await app.Http.GetAsync(new Uri("/", UriKind.Relative));
        var html = WebUtility.HtmlDecode(await page.Content.ReadAsStringAsync());
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync(html.Split("class=\"button main\" href=\"")[1].Split('"')[0]);
        using var consent = await browser.SubmitAsync(signIn, ("user_id", "user_newcomer"));
        using var approved = await browser.SubmitAsync(consent, ("decision", "approve"));

        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType!.MediaType));
        Assert.NotNull(OAuthFlow.Parameter(approved.Headers.Location!, "code"));
        Assert.Contains("/connections", html, StringComparison.Ordinal);
        Assert.Contains("GET, HEAD /brand/logo", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Development_leads_to_operations_and_says_as_whom_to_sign_in()
    {
        var html = await app.Http.GetStringAsync(new Uri("/", UriKind.Relative));
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync("/operations");
        using var page = await browser.SubmitAsync(signIn, ("user_id", DevelopmentDefaults.Operator));

        Assert.Contains("<a href=\"/operations\">", html, StringComparison.Ordinal);
        Assert.Contains($"sign in as <code>{DevelopmentDefaults.Operator}</code>", html, StringComparison.Ordinal);
        Assert.Equal("/operations/overview", page.RequestMessage!.RequestUri!.AbsolutePath);
        Assert.Contains($"{DevelopmentDefaults.Operator}</bdi>, operator", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>Where somebody else says who people are, nobody is on call whom no setting names.</summary>
    [Theory]
    [InlineData("Development", null, null, DevelopmentDefaults.Operator)]
    [InlineData("Development", null, "", "")]
    [InlineData("Development", "https://clerk.example", null, null)]
    [InlineData("Production", null, null, null)]
    public void Operator_by_default_is_there_in_development_without_a_provider_only(string environment, string? issuer, string? named, string? expected)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { EnvironmentName = environment });
        builder.Configuration.AddInMemoryCollection(
        [
            new("GPT_EC_PRIVATE_KEY", "k"), new("GPT_REFRESH_KEY", "k"), new("GPT_CLIENT_SECRET", "s"), new("CLERK_ISSUER", issuer),
            .. named is null ? Array.Empty<KeyValuePair<string, string?>>() : [new("OPERATORS", named)],
        ]);
        builder.AddDevelopment();
        Assert.Equal(expected, builder.Configuration["OPERATORS"]);
    }

    /// <summary>By their templates: what stands in a path, a query or a header may be a secret.</summary>
    [Fact]
    public async Task Development_shows_the_last_requests_without_what_they_carried()
    {
        var client = await OAuthFlow.AddClientAsync(app, name: "Shown app");
        var tokens = await fixture.Flow.TokensAsync(client, "user_recent");
        using var wrong = await app.Http.GetAsync(new Uri("/verifications/order-secret?token=query-secret", UriKind.Relative));
        using var nowhere = await app.Http.GetAsync(new Uri("/nowhere-secret", UriKind.Relative));
        for (var probe = 0; probe < 30; probe++)
        {
            using var healthy = await app.Http.GetAsync(new Uri("/health", UriKind.Relative));
        }

        var html = await app.Http.GetStringAsync(new Uri("/", UriKind.Relative));

        Assert.Contains("POST /oauth/token", html, StringComparison.Ordinal);
        Assert.Contains("/verifications/{orderId}", WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        Assert.Contains("(no route)", html, StringComparison.Ordinal);
        Assert.Contains(wrong.Headers.GetValues("x-correlation-id").Single(), html, StringComparison.Ordinal);
        Assert.Contains("<bdi>Shown app</bdi>", html, StringComparison.Ordinal);
        foreach (var secret in (string?[])["order-secret", "query-secret", "nowhere-secret", client.Secret, tokens["access_token"], tokens["refresh_token"]])
        {
            Assert.DoesNotContain(secret!, html, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Production_says_whose_service_it_is_and_leads_to_the_connected_apps()
    {
        var context = new DefaultHttpContext { RequestServices = app.Get<IServiceProvider>() };
        context.Request.Headers.AcceptLanguage = "de";
        using var body = new MemoryStream();
        context.Response.Body = body;
        using var scope = app.Get<IServiceScopeFactory>().CreateScope();
        context.RequestServices = scope.ServiceProvider;
        await (await new PublicFrontPage().ShowAsync(context)).ExecuteAsync(context);
        var html = WebUtility.HtmlDecode(System.Text.Encoding.UTF8.GetString(body.ToArray()));

        Assert.Contains("<h1>Ihre Apps verbinden</h1>", html, StringComparison.Ordinal);
        Assert.Contains("href=\"/connections\">Verbundene Apps ansehen</a>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("demo", html, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("HEAD", "/", HttpStatusCode.OK)]
    [InlineData("POST", "/", HttpStatusCode.NotFound)]
    [InlineData("GET", "//", HttpStatusCode.NotFound)]
    [InlineData("GET", "/x", HttpStatusCode.NotFound)]
    public async Task Only_the_root_is_the_front_page(string method, string path, HttpStatusCode status)
    {
        using var answer = await app.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), app.BaseUrl + path));
        Assert.Equal(status, answer.StatusCode);
    }
}
