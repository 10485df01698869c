using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Hosting;

internal static class RabbitMQFunctions
{
    public static void Add(IServiceCollection services, IReadOnlyList<FunctionDescriptor> functions)
    {
    }
}
