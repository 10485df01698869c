using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Development;

/// <summary>
/// Development only: answers the sample's actions as a company's API would, and shows which headers reached it. Anywhere else the route does not
/// exist.
/// </summary>
internal sealed class DemoUpstreamFunctions(IHostEnvironment environment)
{
    private static readonly string[] Jobs = ["Gardener", "Baker", "Locksmith"];

    [Function("DevUpstream")]
    public IResult Answer(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", "delete", Route = "dev/upstream/{*path}")] HttpRequest request,
        string? path) => !environment.IsDevelopment()
            ? Problem.Refuse(request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "Not found", "There is nothing here.")
            : Results.Text(
            new JsonObject
            {
                ["action"] = $"{request.Method} /{path}{request.QueryString}",
                ["result"] = Act("/" + path, request.Query["query"].ToString()),
                ["headers_received"] = new JsonObject(request.Headers.Select(header => KeyValuePair.Create(header.Key, (JsonNode?)header.Value.ToString()))),
            }.ToJsonString(), "application/json");

    private static JsonNode Act(string path, string query) => path switch
    {
        "/gpt/jobs/search" => new JsonArray(
            [.. Enumerable.Range(0, Jobs.Length).Where(index => Jobs[index].Contains(query, StringComparison.OrdinalIgnoreCase)).Select(Job)]),
        "/gpt/applications" => new JsonArray(new JsonObject { ["job"] = Job(0), ["status"] = "interview" }),
        "/gpt/applications/submit" => new JsonObject { ["status"] = "sent" },
        "/gpt/resume/analyze" => new JsonObject { ["strengths"] = new JsonArray("clear", "short") },
        _ when path.StartsWith("/gpt/jobs/", StringComparison.Ordinal) => Job(path.EndsWith("job-2", StringComparison.Ordinal) ? 1 : 0),
        _ => "nothing",
    };

    private static JsonObject Job(int index) => new() { ["id"] = $"job-{index + 1}", ["title"] = Jobs[index] };
}
