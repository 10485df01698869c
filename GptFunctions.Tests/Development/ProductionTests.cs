using System.Net;
using GptFunctions.Development;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests.Development;

/// <summary>What is made for Development is not there in Production: each of its functions answers 404 to everything.</summary>
public sealed class ProductionTests
{
    [Fact]
    public async Task Route_of_any_function_of_the_room_in_production_is_404()
    {
        var functions = FunctionCatalog.Find([typeof(DevelopmentDefaults).Assembly], new ConfigurationBuilder().Build())
            .Where(function => function.Method.DeclaringType!.Namespace == typeof(DevelopmentDefaults).Namespace).ToList();
        Assert.Equal(["DevCallback", "DevCallbacks", "DevSignIn", "DevUpstream"], functions.Select(function => function.Name));

        await using var production = await TestApp.StartAsync("development_in_production", new Dictionary<string, string?>
        {
            ["AZURE_FUNCTIONS_ENVIRONMENT"] = "Production",
            ["PUBLIC_BASE_URL"] = "https://api.example.com",
            ["CLERK_ISSUER"] = $"https://127.0.0.1:{TestApp.FreePort()}", // nobody listens
            ["CLERK_OAUTH_CLIENT_ID"] = "gpt-functions",
            ["CLERK_OAUTH_CLIENT_SECRET"] = "provider-secret",
            ["CLERK_AUTHORIZED_PARTIES"] = "https://app.example",
            ["RABBITMQ_URL"] = $"amqp://127.0.0.1:{TestApp.FreePort()}",
        });
        foreach (var trigger in functions.Select(function => (HttpTriggerAttribute)function.Trigger))
        {
            foreach (var method in trigger.Methods!)
            {
                using var request = new HttpRequestMessage(
                    new HttpMethod(method),
                    new Uri("/" + trigger.Route!.Replace("{*path}", "gpt/jobs/search", StringComparison.Ordinal), UriKind.Relative));
                using var response = await production.Http.SendAsync(request);
                Assert.True(response.StatusCode == HttpStatusCode.NotFound, $"{method} {trigger.Route}: {response.StatusCode}");
            }
        }
    }
}
