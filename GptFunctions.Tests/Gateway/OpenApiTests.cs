using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>
/// gateway.md 10: /gpt/openapi.json is the upstream's document with our server and OAuth put in, and names from the routes. And the demo upstream.
/// </summary>
public sealed class OpenApiTests(AppFixture<OpenApiTests> fixture) : IClassFixture<AppFixture<OpenApiTests>>
{
    private readonly TestApp app = fixture.App; // in Development without GATEWAY_CONFIG: the sample's routes

    [Fact]
    public async Task Document_has_our_server_our_security_and_the_routes_names()
    {
        var document = await ReadAsync();

        Assert.Equal("3.1.0", document.GetProperty("openapi").GetString());
        Assert.Equal(app.BaseUrl, Assert.Single(document.GetProperty("servers").EnumerateArray()).GetProperty("url").GetString());
        var flow = document.GetProperty("components").GetProperty("securitySchemes").GetProperty("oauth2").GetProperty("flows")
            .GetProperty("authorizationCode");
        Assert.Equal(
            (app.BaseUrl + "/oauth/authorize", app.BaseUrl + "/oauth/token"),
            (flow.GetProperty("authorizationUrl").GetString(), flow.GetProperty("tokenUrl").GetString()));
        Assert.Equal(
            "jobs:read,applications:read,applications:write,resume:read",
            string.Join(',', flow.GetProperty("scopes").EnumerateObject().Select(scope => scope.Name)));
        Assert.Equal(
            [
                "get /gpt/applications getApplications False applications:read", "get /gpt/jobs/search searchJobs False jobs:read",
                "get /gpt/jobs/{id} getJobDetails False jobs:read",
                "post /gpt/applications/submit submitApplication True applications:write", "post /gpt/resume/analyze analyzeResume False resume:read",
            ],
            Operations(document)
                .Select(
                    one =>
                        $"{one.Method} {one.Path} {one.Operation.GetProperty("operationId").GetString()} "
                            + $"{one.Operation.GetProperty("x-openai-isConsequential").GetBoolean()} {Scope(one.Operation)}").Order(StringComparer.Ordinal));
    }

    /// <summary>No route, no entry; and what says who the user is, is not the model's to fill in.</summary>
    [Fact]
    public async Task Document_leaves_out_what_has_no_route_and_parameters_that_identify_the_user()
    {
        var document = await ReadAsync();

        Assert.False(document.GetProperty("paths").TryGetProperty("/internal/jobs/reindex", out _));
        var search = Operations(document).Single(one => one.Path == "/gpt/jobs/search").Operation;
        Assert.Equal(["query", "location"], search.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("name").GetString()));
        Assert.Equal(
            "#/components/schemas/Job",
            Operations(document).Single(one => one.Path == "/gpt/jobs/{id}").Operation.GetProperty("responses").GetProperty("200").GetProperty("content")
                .GetProperty("application/json").GetProperty("schema").GetProperty("$ref").GetString());
        Assert.True(document.GetProperty("components").GetProperty("schemas").TryGetProperty("Job", out _));
    }

    [Fact]
    public async Task Document_may_be_fetched_by_the_builder_in_a_browser()
    {
        using var options = new HttpRequestMessage(HttpMethod.Options, new Uri("/gpt/openapi.json", UriKind.Relative));
        using var preflight = await app.Http.SendAsync(options);
        using var document = await app.Http.GetAsync(new Uri("/gpt/openapi.json", UriKind.Relative));

        Assert.Equal(HttpStatusCode.NoContent, preflight.StatusCode);
        Assert.Equal("*", Assert.Single(document.Headers.GetValues("Access-Control-Allow-Origin")));
    }

    [Fact]
    public async Task Document_that_is_not_configured_is_404()
    {
        var routes = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, "none.json");
        await File.WriteAllTextAsync(routes, """{ "routes": [] }""");
        await using var replica = await app.StartReplicaAsync(("GATEWAY_CONFIG", routes));

        using var response = await replica.Http.GetAsync(new Uri("/gpt/openapi.json", UriKind.Relative));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    /// <summary>"A demo upstream for make run (Development only) that answers the sample actions and shows the headers it received".</summary>
    [Theory]
    [InlineData("/gpt/jobs/search?query=bak", "GET", "Baker")]
    [InlineData("/gpt/jobs/job-2", "GET", "Baker")]
    [InlineData("/gpt/applications", "GET", "interview")]
    [InlineData("/gpt/applications/submit", "POST", "sent")]
    [InlineData("/gpt/resume/analyze", "POST", "strengths")]
    public async Task Demo_upstream_answers_the_samples_actions_and_shows_what_it_received(string path, string method, string expected)
    {
        var user = await new GatewayUsers(app).AddAsync();

        using var response = await app.Http.CallAsync(user.Token, path, new HttpMethod(method), headers: ("x-internal-id", "forged"));

        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Contains(expected, text, StringComparison.Ordinal);
        Assert.Equal(user.Id.ToString(), JsonElement.Parse(text).GetProperty("headers_received").GetProperty("x-internal-id").GetString());
    }

    [Fact]
    public async Task Demo_upstream_does_not_exist_in_production()
    {
        var settings = app.Settings.With(
            [
                new("AZURE_FUNCTIONS_ENVIRONMENT", "Production"), new("PUBLIC_BASE_URL", "https://api.example.com"),
                new("RABBITMQ_URL", "amqp://nobody@127.0.0.1:1"), new("CLERK_ISSUER", "https://clerk.example.com"),
            new("CLERK_OAUTH_CLIENT_ID", "id"), new("CLERK_OAUTH_CLIENT_SECRET", "secret"), new("CLERK_AUTHORIZED_PARTIES", "https://app.example.com")]);
        await using var production = await AppProcess.StartAsync(settings);

        using var demo = await production.Http.GetAsync(new Uri("/dev/upstream/gpt/applications", UriKind.Relative));
        using var action = await production.Http.GetAsync(new Uri("/gpt/applications", UriKind.Relative));

        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.NotFound), (demo.StatusCode, action.StatusCode));
    }

    private async Task<JsonElement> ReadAsync() => JsonElement.Parse(await app.Http.GetStringAsync(new Uri("/gpt/openapi.json", UriKind.Relative)));

    private static IEnumerable<(string Path, string Method, JsonElement Operation)> Operations(JsonElement document) =>
        document.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(operation => (path.Name, operation.Name, operation.Value)));

    private static string? Scope(JsonElement operation) =>
        Assert.Single(Assert.Single(operation.GetProperty("security").EnumerateArray()).GetProperty("oauth2").EnumerateArray()).GetString();
}
