using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Hosting;

internal static class TimerFunctions
{
    public static void Add(IServiceCollection services, IReadOnlyList<FunctionDescriptor> functions)
    {
    }
}
