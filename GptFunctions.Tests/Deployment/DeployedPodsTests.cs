using System.Net;
using System.Text;
using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// The pods of production as far as they go without a cluster: setup, then each component, with the rendered environment and secrets as files, on
/// real servers.
/// </summary>
[Collection(AuditQueueTurns.Name)]
public sealed class DeployedPodsTests
{
    [Fact]
    public async Task Setup_prepares_an_empty_database_and_each_component_serves_its_functions_only()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(DeployedPodsTests), isMigrated: false);
        var values = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["database-url"] = database.Url,
            ["rabbitmq-url"] = await TestServices.RabbitMqUrlAsync(),
        };
        var manifests = await KustomizeRender.LoadAsync(KustomizeRender.Production, plainSecrets: true);

        using (var settings = RenderedSettings.Of(manifests, manifests.Setup("http"), values))
        {
            var (exitCode, output, error) = await AppProcess.RunAsync(settings.Environment, "setup");
            Assert.True(exitCode == 0, error);
            Assert.Contains("clients: company-gpt added", output, StringComparison.Ordinal);
        }

        foreach (var component in Manifests.Components)
        {
            using var settings = RenderedSettings.Of(manifests, manifests.Container(component), values);
            await using var pod = await AppProcess.StartAsync(settings.Environment); // ready
            using var alive = await pod.Http.GetAsync(new Uri("/health", UriKind.Relative));
            Assert.Equal(HttpStatusCode.OK, alive.StatusCode);
            using var body = new StringContent("grant_type=refresh_token", Encoding.ASCII, "application/x-www-form-urlencoded");
            using var token = await pod.Http.PostAsync(new Uri("/oauth/token", UriKind.Relative), body);
            Assert.Equal(component == "http" ? HttpStatusCode.Unauthorized : HttpStatusCode.NotFound, token.StatusCode);
            Assert.Equal(0, await pod.StopAsync());
        }

        Assert.Equal(1, await database.CountAsync("maintenance_runs")); // timers made up for the purge that nobody had run
    }
}
